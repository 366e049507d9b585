#include <taper/ops/op.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// The parts of complex numbers, which are views of them.

namespace taper {
namespace {

Specs infer_real(const InSpecs& in, const NoAttrs&) {
  Spec out = in[0];
  out.dtype = real_of(out.dtype);
  return out;
}
Specs infer_imag(const InSpecs& in, const NoAttrs& attrs) {
  if (!is_complex(in[0].dtype)) {
    violate(ErrorKind::dtype, "takes complex tensors, got " + std::string(dtype_name(in[0].dtype)));
  }
  return infer_real(in, attrs);
}

template <int part>
bool part_view(const Strided& x, const NoAttrs&, const Specs&, ViewLayout* views) {
  const int64_t parts = is_complex(x.spec.dtype) ? 2 : 1;
  views[0] = {x.strides, parts * x.offset + part};
  for (int64_t& stride : views[0].strides) stride *= parts;
  return true;
}

template <int part>
Results part_reference(const Inputs& in, const NoAttrs&) {
  std::vector<double> values;
  for (const Complex<double>& z : in[0].to_vector<Complex<double>>()) {
    values.push_back(part == 0 ? z.re : z.im);
  }
  return {{from_values(in[0].shape(), values)}};
}

Grads real_vjp(const Saved& s, const NoAttrs&) { return {astype(s.grad(), s.in_spec(0).dtype)}; }
Grads imag_vjp(const Saved& s, const NoAttrs&) { return {s.grad() * Complex<double>(0, 1)}; }

std::vector<Sample<NoAttrs>> real_samples() {
  return {{.inputs = {{.shape = {2, 3}, .dtype = DType::c64}}},
          {.inputs = {{.shape = {}, .dtype = DType::c128}}},
          {.inputs = {{.shape = {4}}}}};
}
std::vector<Sample<NoAttrs>> imag_samples() {
  return {{.inputs = {{.shape = {2, 3}, .dtype = DType::c64}}},
          {.inputs = {{.shape = {}, .dtype = DType::c128}}},
          {.inputs = {{.shape = {4}}}, .error = "takes complex tensors, got f32"}};
}

const Op<NoAttrs> real_op{{.name = "real",
                           .doc = "The real part; of real numbers themselves. A view.",
                           .inputs = {"x"},
                           .takes = kinds::every,
                           .infer = infer_real,
                           .reference = part_reference<0>,
                           .grad = {real_vjp, Saves::nothing},
                           .view = part_view<0>,
                           .samples = real_samples}};
const Op<NoAttrs> imag_op{{.name = "imag",
                           .doc = "The imaginary part of complex numbers; a view.",
                           .inputs = {"x"},
                           .takes = kinds::every,
                           .infer = infer_imag,
                           .reference = part_reference<1>,
                           .grad = {imag_vjp, Saves::nothing},
                           .view = part_view<1>,
                           .samples = imag_samples}};

}  // namespace

Tensor real(const Tensor& x) { return real_op({x}); }
Tensor imag(const Tensor& x) { return imag_op({x}); }

}  // namespace taper
