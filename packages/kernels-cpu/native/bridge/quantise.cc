#include "quantise.h"

#include "../quantise/quantise.h"
#include <cortex/runtime/status.h>
#include <cortex/bridge/device.h>

namespace cortex::bridge {

namespace {

class ConvertWorker : public Napi::AsyncWorker {
 public:
  ConvertWorker(Napi::Env env, matmul::Format from, matmul::Format to, const Napi::Uint8Array& bytes)
      : Napi::AsyncWorker(env, "cortex cpu convert"),
        deferred_(Napi::Promise::Deferred::New(env)),
        from_(from),
        to_(to),
        source_(bytes.Data()),
        elements_(bytes.ByteLength() / quantise::block_bytes(from)),
        keep_(Napi::Persistent(bytes.As<Napi::Object>())),
        result_(Napi::Persistent(Napi::ArrayBuffer::New(
            env, elements_ / quantise::block_elements(to) * quantise::block_bytes(to)))),
        target_(static_cast<uint8_t*>(result_.Value().Data())) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override { is_finite_ = quantise::convert(from_, to_, source_, elements_, target_); }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (is_finite_) deferred_.Resolve(result_.Value());
    else deferred_.Resolve(failure_value(Env(), failure(Code::upload_invalid, "a value is not finite; finite values are wanted")));
  }

  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  matmul::Format from_;
  matmul::Format to_;
  const uint8_t* source_;
  size_t elements_;
  Napi::ObjectReference keep_;
  Napi::Reference<Napi::ArrayBuffer> result_;
  uint8_t* target_;
  bool is_finite_ = true;
};

}  // namespace

Napi::Value convert_weights(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto from = static_cast<matmul::Format>(info[0].As<Napi::Number>().Int32Value());
  const auto to = static_cast<matmul::Format>(info[1].As<Napi::Number>().Int32Value());
  const auto bytes = info[2].As<Napi::Uint8Array>();
  const auto known = [](matmul::Format format) { return static_cast<int>(format) >= 0 && static_cast<int>(format) <= 7; };
  const bool fits = known(from) && known(to) && quantise::converts(from, to) &&
                    bytes.ByteLength() % (quantise::block_bytes(from) * quantise::block_elements(to)) == 0;
  if (!fits) {
    const auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Resolve(failure_value(env, failure(Code::upload_invalid, "these bytes are no whole blocks of floats")));
    return deferred.Promise();
  }
  // Deletes itself when it is done.
  auto* worker = new ConvertWorker(env, from, to, bytes);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace cortex::bridge
