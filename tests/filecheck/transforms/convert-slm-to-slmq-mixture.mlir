// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"}'
// The matrix that decides a choice keeps f32; experts and the other matrices are int8, also one whose result is only weighted.
// CHECK: func.func @forward(%h: tensor<?x16xf32>) -> tensor<?x16xf32> {
// CHECK-NEXT: %l = slmq.matmul %h, #slm.weight<"router", tensor<4x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x4xf32>
// CHECK-NEXT: %a = slmq.scale %l by 2.000000e+00 : tensor<?x4xf32>
// CHECK-NEXT: %s = slmq.softmax %a : tensor<?x4xf32>
// CHECK-NEXT: %p, %c = slmq.top_k %s count 2 : tensor<?x4xf32>, tensor<?x2xi32>
// CHECK-NEXT: %z = slmq.reduce_sum %p : tensor<?x4xf32> -> tensor<?x1xf32>
// CHECK-NEXT: %w = slmq.div %p, %z : tensor<?x4xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
// CHECK-NEXT: %y = slm.mixture "experts" 4(%h) weights %w chosen %c {
// CHECK-NEXT: ^bb0(%g: tensor<?x16xf32>):
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]] = slmq.quantize %g axes 1
// CHECK-NEXT: slmq.matmul %[[Q]] scale %[[S]], #slm.weight<"experts.{e}.up", tensor<16x16xf32>> as "i8"
// CHECK: slmq.matmul %{{.*}} #slm.weight<"gate", tensor<1x16xf32>> as "i8"
// CHECK-NEXT: %b = slmq.column %p at 1 : tensor<?x4xf32> -> tensor<?x1xf32>
func.func @forward(%h: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %l = slm.linear %h, #slm.weight<"router", tensor<4x16xf32>> : tensor<?x16xf32> -> tensor<?x4xf32>
  %k = slm.constant 2.000000e+00 : tensor<f32>
  %a = slm.mul %l, %k : tensor<?x4xf32>, tensor<f32> -> tensor<?x4xf32>
  %s = slm.softmax %a : tensor<?x4xf32>
  %p, %c = slm.top_k %s count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  %z = slm.reduce_sum %p : tensor<?x4xf32> -> tensor<?x1xf32>
  %w = slm.div %p, %z : tensor<?x4xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
  %y = slm.mixture "experts" 4(%h) weights %w chosen %c {
  ^bb0(%g: tensor<?x16xf32>):
    %d = slm.linear %g, #slm.weight<"experts.{e}.up", tensor<16x16xf32>> : tensor<?x16xf32> -> tensor<?x16xf32>
    slm.yield %d : tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> chosen tensor<?x2xi32> -> tensor<?x16xf32>
  %g1 = slm.linear %y, #slm.weight<"gate", tensor<1x16xf32>> : tensor<?x16xf32> -> tensor<?x1xf32>
  %b = slm.column %p at 1 : tensor<?x4xf32> -> tensor<?x1xf32>
  %m = slm.mul %g1, %b : tensor<?x1xf32>, tensor<?x1xf32> -> tensor<?x1xf32>
  %r = slm.add %y, %m : tensor<?x16xf32>, tensor<?x1xf32> -> tensor<?x16xf32>
  func.return %r : tensor<?x16xf32>
}
