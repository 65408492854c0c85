// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"}'
// The values of a weight are f32 in every scheme.
// CHECK: slmq.tensor #slm.weight<"s", tensor<8xbf16>> : tensor<8xf32>
// CHECK-NEXT: slmq.mul %x
// CHECK-NOT: slm.tensor
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = slm.tensor #slm.weight<"s", tensor<8xbf16>> : tensor<8xf32>
  %y = slm.mul %x, %s : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  func.return %y : tensor<?x8xf32>
}
