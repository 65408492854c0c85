// RUN: slmc opt --no-locations %s -p add-sampling
// A tensor has no rows: only the value of the tokens is selected.
// CHECK: slmq.attention
// CHECK-NEXT: %[[ROWS:.*]] = slmq.select_rows %a
// CHECK-NEXT: slmq.mul %[[ROWS]], %s
// CHECK-NOT: slmq.select_rows
func.func @forward(%q: tensor<?x4x8xf32>) -> tensor<?x32xf32> {
  %s = slmq.tensor #slm.weight<"s", tensor<4x8xf32>> : tensor<4x8xf32>
  %a = slmq.attention %q, %q, %q state "s" : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  %m = slmq.mul %a, %s : tensor<?x4x8xf32>, tensor<4x8xf32> -> tensor<?x4x8xf32>
  %y = slmq.matmul %m, #slm.weight<"head", tensor<32x32xf32>> as "f32" : tensor<?x4x8xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
