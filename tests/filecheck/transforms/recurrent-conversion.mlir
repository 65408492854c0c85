// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8-kv8"}'
// Values and weights stay f32 in every scheme; A may be computed.
// CHECK: %c = slmq.causal_conv %u, #slm.weight<"w", tensor<32x3xbf16>> bias #slm.weight<"c", tensor<32xf32>> state "layers.{i}.conv.0" : tensor<?x32xf32>
// CHECK-NEXT: slmq.tensor
// CHECK-NEXT: slmq.scale
// CHECK-NEXT: slmq.selective_scan %c, %u, {{.*}} state "layers.{i}.scan.1" : tensor<?x32xf32>
// CHECK-NOT: slmq.quantize
func.func @forward(%u: tensor<?x32xf32>, %b: tensor<?x16xf32>) -> tensor<?x32xf32> {
  %c = slm.causal_conv %u, #slm.weight<"w", tensor<32x3xbf16>> bias #slm.weight<"c", tensor<32xf32>> state "layers.{i}.conv.0" : tensor<?x32xf32>
  %a = slm.tensor #slm.weight<"a", tensor<32x16xbf16>> : tensor<32x16xf32>
  %two = slm.constant 2.000000e+00 : tensor<f32>
  %a2 = slm.mul %a, %two : tensor<32x16xf32>, tensor<f32> -> tensor<32x16xf32>
  %y = slm.selective_scan %c, %u, %a2, %b, %b state "layers.{i}.scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  func.return %y : tensor<?x32xf32>
}
