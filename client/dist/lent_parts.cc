#include "client/dist/lent_parts.h"

#include <utility>

namespace kvstore {

class LentParts::Loan {
 public:
  explicit Loan(TokenPtr token) : token_(std::move(token)) {}
  ~Loan() {
    if (write_ != nullptr) write_();
  }
  // The caller holds a reference: the destructor comes later.
  void WriteWhenReturned(std::function<void()> write) { write_ = std::move(write); }

 private:
  const TokenPtr token_;  // declared first, so that it is destroyed after write_ has run
  std::function<void()> write_;
};

std::shared_ptr<const void> LentParts::Lend(PartIndex part) {
  auto loan = std::make_shared<Loan>(token_);
  loans_[part] = loan;
  return loan;
}

void LentParts::WhenReturned(PartIndex part, std::function<void()> write) {
  if (const std::shared_ptr<Loan> loan = loans_[part].lock()) {
    loan->WriteWhenReturned(std::move(write));
  } else {
    write();
  }
}

}  // namespace kvstore
