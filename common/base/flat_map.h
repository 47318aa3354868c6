// FlatMap: absl::flat_hash_map that survives std::bad_alloc. Abseil's own table does not: when it
// grows it notes its new capacity before it has the memory, and after that throw even its
// destructor frees what it never had. So this map never lets a table grow in place. When the table
// may be full a larger one is made aside, everything is moved over, and the two change places.
//
// An example: a table of capacity 15 takes 14 entries. Of those that were made, some may have been
// erased, but may still take a place (a tombstone); so this counts what was made since the table is
// there, `made_`. The 15th makes a table of capacity 31 for the, say, 9 that are left.
#pragma once

#include <cstddef>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace kvstore {

// Thread-compatible. Methods are those of absl::flat_hash_map; iterators and references are good
// until the next entry is made.
template <typename Key, typename Value,
          typename Hash = typename absl::flat_hash_map<Key, int>::hasher>
class FlatMap {
  using Table = absl::flat_hash_map<Key, Value, Hash>;

 public:
  using Iterator = typename Table::iterator;
  using ConstIterator = typename Table::const_iterator;

  Iterator begin() { return table_.begin(); }
  Iterator end() { return table_.end(); }
  ConstIterator begin() const { return table_.begin(); }
  ConstIterator end() const { return table_.end(); }
  size_t size() const { return table_.size(); }
  bool empty() const { return table_.empty(); }
  Iterator find(const Key& key) { return table_.find(key); }
  ConstIterator find(const Key& key) const { return table_.find(key); }
  void prefetch(const Key& key) const { table_.prefetch(key); }
  Value& at(const Key& key) { return table_.at(key); }
  const Value& at(const Key& key) const { return table_.at(key); }
  void erase(Iterator it) { table_.erase(it); }
  size_t erase(const Key& key) { return table_.erase(key); }
  template <typename Predicate>
  void EraseIf(Predicate predicate) {
    absl::erase_if(table_, std::move(predicate));
  }

  // Makes room: the next `more` entries will take no memory of the map's own. May throw
  // std::bad_alloc; then the map is as it was.
  void MakeRoomFor(size_t more) {
    if (made_ + more <= Room(table_.capacity())) return;
    // Not destroyed if it finds no memory: see above.
    alignas(Table) unsigned char place[sizeof(Table)];
    auto* const larger = new (place) Table();
    const size_t wanted = table_.size() < more ? table_.size() + more : 2 * table_.size();
    // A table of capacity 7 may take 7 entries; Room does not count on it.
    larger->reserve(wanted == 7 ? 8 : wanted);
    for (auto& entry : table_) {
      larger->emplace(entry.first, std::move(entry.second));
    }
    table_.swap(*larger);
    larger->~Table();
    made_ = table_.size();
  }

  // May throw std::bad_alloc; then the map is as it was.
  template <typename... Args>
  std::pair<Iterator, bool> emplace(const Key& key, Args&&... args) {
    const Iterator known = table_.find(key);
    if (known != table_.end()) return {known, false};
    MakeRoomFor(1);
    ++made_;
    return table_.emplace(std::piecewise_construct, std::forward_as_tuple(key),
                          std::forward_as_tuple(std::forward<Args>(args)...));
  }
  Value& operator[](const Key& key) { return emplace(key).first->second; }

 private:
  static_assert(std::is_nothrow_move_constructible_v<Value>);

  // How many entries a table of this capacity (0, 1, 3, 7, 15, ...) takes at least without growing;
  // one of 7 takes 6 or 7, which depends on the processor.
  static size_t Room(size_t capacity) { return capacity == 7 ? 6 : capacity - capacity / 8; }

  Table table_;
  size_t made_ = 0;  // entries made since the table is there
};

}  // namespace kvstore
