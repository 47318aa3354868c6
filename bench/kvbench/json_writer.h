// Writes JSON with indentation; enough of it for kvbench's results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvstore::bench {

// Calls nest as the document does: Key() before each value inside of an object.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view name);
  JsonWriter& String(std::string_view value);
  JsonWriter& Number(double value);  // not finite: null
  JsonWriter& Whole(int64_t value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  JsonWriter& Numbers(const std::vector<double>& values);  // an array on one line

  const std::string& text() const { return text_; }

 private:
  void BeforeValue();
  void Open(char bracket);
  void Close(char bracket);
  void NewLine();
  void Quote(std::string_view value);

  std::string text_;
  std::vector<bool> empty_;  // of the open objects and arrays: nothing written inside yet
  bool after_key_ = false;
};

}  // namespace kvstore::bench
