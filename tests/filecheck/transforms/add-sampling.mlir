// RUN: slmc opt --no-locations %s -p add-sampling
// Behind the last op that mixes tokens only the wanted rows go on; the last of them is sampled.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<1xi32> {
// CHECK: slmq.attention
// CHECK-NOT: slmq.select_rows
// CHECK: } : tensor<?x32xf32> -> tensor<?x32xf32>
// CHECK-NEXT: %[[ROWS:.*]] = slmq.select_rows %h : tensor<?x32xf32>
// CHECK-NEXT: %n = slmq.rms_norm %[[ROWS]],
// CHECK-NEXT: %y = slmq.matmul %n,
// CHECK-NEXT: %[[TOKEN:.*]] = slmq.sample %y : tensor<?x64xf32> -> tensor<1xi32>
// CHECK-NEXT: func.return %[[TOKEN]] : tensor<1xi32>
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %q = slmq.matmul %l, #slm.weight<"layers.{i}.q", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4x8xf32>
    %a = slmq.attention %q, %q, %q state "s" : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
    %o = slmq.matmul %a, #slm.weight<"layers.{i}.o", tensor<32x32xf32>> as "f32" : tensor<?x4x8xf32> -> tensor<?x32xf32>
    slm.yield %o : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %n = slmq.rms_norm %h, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  %y = slmq.matmul %n, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
// -----
// Where no op mixes tokens there is nothing to select behind.
// CHECK-NOT: slmq.select_rows
// CHECK: slmq.sample
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    slm.yield %l : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %n = slmq.rms_norm %h, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  %y = slmq.matmul %n, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
