#include "examples/word_vectors/text.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace word_vectors {
namespace {

class TextFile {
 public:
  explicit TextFile(const std::string& bytes) {
    char name[] = "/tmp/word_vectors_test.XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path_ = name;
    std::ofstream(path_, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
  }
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;
  ~TextFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("words are runs of letters in lower case, a line each", "[word_vectors]") {
  CHECK(SplitText("In the Beginning,\nGod--created; (the LORD)\n") ==
        std::vector<Line>{{"in", "the", "beginning"}, {"god", "created", "the", "lord"}});
  CHECK(SplitText("tab\tand\rreturn  two") == std::vector<Line>{{"tab", "and", "return", "two"}});
}

TEST_CASE("an apostrophe belongs to a word only inside it", "[word_vectors]") {
  CHECK(SplitText("the king's sons' 'quoted' words") ==
        std::vector<Line>{{"the", "king's", "sons", "quoted", "words"}});
}

TEST_CASE("what has a digit in it is no word", "[word_vectors]") {
  CHECK(SplitText("Ge1:1 In the year 1611 x2y z") == std::vector<Line>{{"in", "the", "year", "z"}});
}

TEST_CASE("letters of UTF-8 stay whole", "[word_vectors]") {
  CHECK(SplitText("caf\xc3\xa9 d'\xc3\xa9t\xc3\xa9") ==
        std::vector<Line>{{"caf\xc3\xa9", "d'\xc3\xa9t\xc3\xa9"}});
}

TEST_CASE("lines without words are left out and long ones are cut", "[word_vectors]") {
  CHECK(SplitText("").empty());
  CHECK(SplitText("\n 12:3 \n--\n").empty());
  std::string text;
  for (size_t i = 0; i < 2 * kLineWordsMax + 1; ++i) text += "word ";
  const std::vector<Line> lines = SplitText(text);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].size() == kLineWordsMax);
  CHECK(lines[1].size() == kLineWordsMax);
  CHECK(lines[2].size() == 1);
}

TEST_CASE("plain text is read as it is", "[word_vectors]") {
  const TextFile file("The quick\nbrown fox\n");
  CHECK(LoadText(file.path()) == "The quick\nbrown fox\n");
}

TEST_CASE("the package's file is decoded from its first window on", "[word_vectors]") {
  std::string bytes = "EC02Compressed Data File";
  bytes.resize(92, '\0');
  bytes += std::string("\0\0\0\x63", 4);                // codes start at byte 99
  bytes += "\x1f\x9d\x90\x61\x02\x0a\x1c\x48\x30\x0c";  // sixteen times 'a' by compress(1)
  const TextFile file(bytes);
  CHECK(LoadText(file.path()) == std::string(16, 'a'));
}

TEST_CASE("a file that cannot be read is named", "[word_vectors]") {
  CHECK_THROWS_WITH(LoadText("/no/such/file"),
                    Catch::StartsWith("/no/such/file: cannot be read (is --text right?"));
  const TextFile cut("EC02Compressed Data File");
  CHECK_THROWS_WITH(LoadText(cut.path()), cut.path() + ": cut short");
  const TextFile wild("EC02Compressed Data File" + std::string(100, '\xff'));
  CHECK_THROWS_WITH(LoadText(wild.path()), wild.path() + ": no window of text");
}

}  // namespace
}  // namespace word_vectors
