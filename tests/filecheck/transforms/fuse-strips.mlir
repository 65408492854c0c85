// RUN: slmc opt --no-locations %s -p fuse-strips
// Gate and up share a group with what is computed from them; the sum after down joins its product.
// CHECK: func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
// CHECK-NEXT: %0 = slmq.strips 64 {
// CHECK-NEXT: %g = slmq.matmul %x, #slm.weight<"gate", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
// CHECK-NEXT: %u = slmq.matmul %x, #slm.weight<"up", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
// CHECK-NEXT: %s = slmq.activation "silu" %g : tensor<?x64xf32>
// CHECK-NEXT: %m = slmq.mul %s, %u : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
// CHECK-NEXT: slmq.yield %m : tensor<?x64xf32>
// CHECK-NEXT: } : tensor<?x64xf32>
// CHECK-NEXT: %1 = slmq.strips 32 {
// CHECK-NEXT: %d = slmq.matmul %0, #slm.weight<"down", tensor<32x64xf32>> as "f32" : tensor<?x64xf32> -> tensor<?x32xf32>
// CHECK-NEXT: %r = slmq.add %x, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
// CHECK-NEXT: slmq.yield %r : tensor<?x32xf32>
// CHECK-NEXT: } : tensor<?x32xf32>
// CHECK-NEXT: func.return %1 : tensor<?x32xf32>
// CHECK-NEXT: }
func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %g = slmq.matmul %x, #slm.weight<"gate", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %u = slmq.matmul %x, #slm.weight<"up", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %s = slmq.activation "silu" %g : tensor<?x64xf32>
  %m = slmq.mul %s, %u : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  %d = slmq.matmul %m, #slm.weight<"down", tensor<32x64xf32>> as "f32" : tensor<?x64xf32> -> tensor<?x32xf32>
  %r = slmq.add %x, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %r : tensor<?x32xf32>
}
// -----
// An op that needs a value from outside the group, produced after it, stays outside.
// CHECK: %[[G:.*]] = slmq.strips 64 {
// CHECK: slmq.yield
// CHECK: slmq.quantize
// CHECK: slmq.mul
func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  %g = slmq.matmul %x, #slm.weight<"gate", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %q, %s = slmq.quantize %g axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
  %m = slmq.mul %g, %s : tensor<?x64xf32>, tensor<?x1xf32> -> tensor<?x64xf32>
  func.return %m : tensor<?x64xf32>
}
// -----
// Norms of heads join, with the rotary embedding behind them; a norm of whole rows does not.
// CHECK: slmq.strips 64 {
// CHECK-NEXT: slmq.matmul
// CHECK-NEXT: slmq.rms_norm
// CHECK-NEXT: slmq.round
// CHECK-NEXT: slmq.yield
// CHECK: slmq.strips 64 {
// CHECK-NEXT: slmq.matmul
// CHECK-NEXT: slmq.yield
// CHECK: slmq.rms_norm
func.func @forward(%x: tensor<?x32xf32>) -> (tensor<?x4x16xbf16>, tensor<?x64xf32>) {
  %q = slmq.matmul %x, #slm.weight<"q", tensor<4x16x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4x16xf32>
  %n = slmq.rms_norm %q, #slm.weight<"qn", tensor<16xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x4x16xf32>
  %r = slmq.round %n : tensor<?x4x16xf32> -> tensor<?x4x16xbf16>
  %w = slmq.matmul %x, #slm.weight<"w", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %m = slmq.rms_norm %w, #slm.weight<"wn", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  func.return %r, %m : tensor<?x4x16xbf16>, tensor<?x64xf32>
}
