// RUN: slmc opt --no-locations %s -p fuse-strips
// The body of a mixture is fused like any other block; nothing crosses its border.
// CHECK: %y = slm.mixture "experts" 4(%h) weights %p {
// CHECK-NEXT: ^bb0(%g: tensor<?x16xf32>):
// CHECK-NEXT: %0 = slmq.strips 24 {
// CHECK-NEXT: %a = slmq.matmul %g,
// CHECK-NEXT: %b = slmq.matmul %g,
// CHECK-NEXT: %s = slmq.activation "silu" %a
// CHECK-NEXT: %m = slmq.mul %s, %b
// CHECK-NEXT: slmq.yield %m
// CHECK-NEXT: } : tensor<?x24xf32>
// CHECK-NEXT: %1 = slmq.strips 16 {
// CHECK-NEXT: %d = slmq.matmul %0,
// CHECK-NEXT: slmq.yield %d
// CHECK-NEXT: } : tensor<?x16xf32>
// CHECK-NEXT: slm.yield %1 : tensor<?x16xf32>
// CHECK: %r = slmq.add %h, %y
func.func @forward(%h: tensor<?x16xf32>, %p: tensor<?x4xf32>) -> tensor<?x16xf32> {
  %y = slm.mixture "experts" 4(%h) weights %p {
  ^bb0(%g: tensor<?x16xf32>):
    %a = slmq.matmul %g, #slm.weight<"experts.{e}.gate", tensor<24x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x24xf32>
    %b = slmq.matmul %g, #slm.weight<"experts.{e}.up", tensor<24x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x24xf32>
    %s = slmq.activation "silu" %a : tensor<?x24xf32>
    %m = slmq.mul %s, %b : tensor<?x24xf32>, tensor<?x24xf32> -> tensor<?x24xf32>
    %d = slmq.matmul %m, #slm.weight<"experts.{e}.down", tensor<16x24xf32>> as "f32" : tensor<?x24xf32> -> tensor<?x16xf32>
    slm.yield %d : tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> -> tensor<?x16xf32>
  %r = slmq.add %h, %y : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
  func.return %r : tensor<?x16xf32>
}
