// RUN: slmc opt --no-locations %s -p add-sampling
// Rows of tokens and positions behind the last op that mixes tokens are made before it: then there are still all of them to select from.
// CHECK: %p = slmq.position_rows
// CHECK-NEXT: %s = slmq.sinusoid
// CHECK-NEXT: %e = slmq.embed
// CHECK-NEXT: %a = slmq.attention
// CHECK-NEXT: slmq.select_rows
// CHECK-NEXT: slmq.select_rows
// CHECK-NEXT: slmq.select_rows
// CHECK-NEXT: slmq.select_rows
// CHECK-NEXT: slmq.matmul
// CHECK-NOT: slmq.select_rows
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x4x8xf32>> as "f32" : tensor<?xi32> -> tensor<?x4x8xf32>
  %a = slmq.attention %x, %x, %x state "s" : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  %o = slmq.matmul %a, #slm.weight<"o", tensor<32x32xf32>> as "f32" : tensor<?x4x8xf32> -> tensor<?x32xf32>
  %p = slmq.position_rows #slm.weight<"pos", tensor<66x32xf32>> as "f32" offset 2 : tensor<?x32xf32>
  %y = slmq.add %o, %p : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %s = slmq.sinusoid offset 1 : tensor<?x32xf32>
  %z = slmq.add %y, %s : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %e = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %l = slmq.add %z, %e : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %l : tensor<?x32xf32>
}
