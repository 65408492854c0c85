// RUN: slmc opt --no-locations %s -p fuse-strips
// A tensor with a value for each column joins the strips.
// CHECK: slmq.strips 64 {
// CHECK-NEXT: slmq.matmul
// CHECK-NEXT: %m = slmq.mul %g, %s : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
// CHECK-NEXT: slmq.yield %m
func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x64xf32> {
  %s = slmq.tensor #slm.weight<"s", tensor<64xf32>> : tensor<64xf32>
  %g = slmq.matmul %x, #slm.weight<"gate", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %m = slmq.mul %g, %s : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  func.return %m : tensor<?x64xf32>
}
// -----
// One with fewer values does not, nor does one that makes the result larger.
// CHECK: slmq.strips 4 {
// CHECK-NEXT: slmq.matmul
// CHECK-NEXT: slmq.yield
// CHECK-NEXT: }
// CHECK-NEXT: slmq.mul %{{.*}}, %s
// CHECK-NEXT: slmq.mul %{{.*}}, %r
func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x4x4xf32> {
  %s = slmq.tensor #slm.weight<"s", tensor<1xf32>> : tensor<1xf32>
  %r = slmq.tensor #slm.weight<"r", tensor<4xf32>> : tensor<4xf32>
  %g = slmq.matmul %x, #slm.weight<"gate", tensor<4x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4x1xf32>
  %m = slmq.mul %g, %s : tensor<?x4x1xf32>, tensor<1xf32> -> tensor<?x4x1xf32>
  %n = slmq.mul %m, %r : tensor<?x4x1xf32>, tensor<4xf32> -> tensor<?x4x4xf32>
  func.return %n : tensor<?x4x4xf32>
}
// -----
// The same of two products: the outer product of their rows is no strip.
// CHECK: } : tensor<?x1x4xf32>
// CHECK-NEXT: slmq.mul
func.func @forward(%x: tensor<?x32xf32>) -> tensor<?x4x4xf32> {
  %g = slmq.matmul %x, #slm.weight<"g", tensor<4x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4x1xf32>
  %h = slmq.matmul %x, #slm.weight<"h", tensor<4x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x1x4xf32>
  %n = slmq.mul %g, %h : tensor<?x4x1xf32>, tensor<?x1x4xf32> -> tensor<?x4x4xf32>
  func.return %n : tensor<?x4x4xf32>
}
