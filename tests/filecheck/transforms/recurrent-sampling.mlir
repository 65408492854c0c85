// RUN: slmc opt --no-locations %s -p add-sampling
// Convolutions and scans mix tokens: rows are selected behind the last of them.
// CHECK: slmq.causal_conv
// CHECK-NOT: slmq.select_rows
// CHECK: slmq.selective_scan
// CHECK-NEXT: %[[ROWS:.*]] = slmq.select_rows %y
// CHECK-NEXT: %z = slmq.matmul %[[ROWS]]
func.func @forward(%u: tensor<?x32xf32>, %a: tensor<32x16xf32>, %b: tensor<?x16xf32>) -> tensor<?x64xf32> {
  %c = slmq.causal_conv %u, #slm.weight<"w", tensor<32x3xf32>> state "conv.0" : tensor<?x32xf32>
  %y = slmq.selective_scan %c, %u, %a, %b, %b state "scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  %z = slmq.matmul %y, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %z : tensor<?x64xf32>
}
// -----
// The same for a convolution that comes last.
// CHECK: slmq.causal_conv
// CHECK-NEXT: slmq.select_rows
func.func @forward(%u: tensor<?x32xf32>) -> tensor<?x64xf32> {
  %c = slmq.causal_conv %u, #slm.weight<"w", tensor<32x3xf32>> state "conv.0" : tensor<?x32xf32>
  %z = slmq.matmul %c, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %z : tensor<?x64xf32>
}
