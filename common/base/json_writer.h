// JsonWriter: JSON on one line, members in the order they are added.
//
//   JsonWriter json;
//   json.BeginObject().Key("nodes").BeginArray().Value("a").Value(uint64_t{1}).End().End();
//   json.text()  ->  {"nodes":["a",1]}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvstore {

class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{', '}'); }
  JsonWriter& BeginArray() { return Open('[', ']'); }
  JsonWriter& End();  // of the innermost object or array
  JsonWriter& Key(std::string_view name);
  JsonWriter& Value(std::string_view text);
  JsonWriter& Value(const char* text) { return Value(std::string_view(text)); }
  JsonWriter& Value(int64_t number);
  JsonWriter& Value(uint64_t number);
  JsonWriter& Value(int number) { return Value(int64_t{number}); }
  JsonWriter& Value(double number);  // six digits; null if it is not finite
  JsonWriter& Value(bool value);
  JsonWriter& Null();

  template <typename T>
  JsonWriter& Member(std::string_view name, T value) {
    return Key(name).Value(value);
  }

  const std::string& text() const { return text_; }

 private:
  JsonWriter& Open(char open, char close);
  void Separate();
  void Quote(std::string_view text);

  std::string text_;
  std::string open_;          // closing brackets still to come, innermost last
  bool needs_comma_ = false;  // before the next value or key
};

}  // namespace kvstore
