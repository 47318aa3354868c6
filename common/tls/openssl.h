// OpenSSL's objects, owned; and its errors, in words.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <vector>

namespace kvstore::openssl {

template <auto* kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using Bio = std::unique_ptr<BIO, Freed<&BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<&X509_free>>;
using Store = std::unique_ptr<X509_STORE, Freed<&X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freed<&X509_STORE_CTX_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<&X509_EXTENSION_free>>;

// The error that came first, and forgets all; "unknown error" where there is none.
std::string TakeError();

// The certificates of a text in PEM, in their order; none of what is no PEM.
std::vector<Certificate> CertificatesOf(const std::string& pem);
// Null if there is none, or it is locked by a passphrase.
Key KeyOf(const std::string& pem);

std::string CommonName(const X509* certificate);
std::string IssuerName(const X509* certificate);
std::vector<std::string> UrisOf(const X509* certificate);

}  // namespace kvstore::openssl
