// RUN: slmc opt --no-locations %s -p fuse-strips,group-rows
// In an expert that is given some of the rows the ops between products are a region, too; where all rows run all experts they are not.
// CHECK: slm.mixture "chosen" 4(%x) weights %p chosen %c {
// CHECK-NEXT: ^bb0(%g: tensor<?x16xf32>):
// CHECK-NEXT: %[[UP:[0-9]+]] = slmq.strips 32 {
// CHECK: %[[ROUNDED:[0-9]+]] = slmq.rows(%[[UP]]) {
// CHECK-NEXT: ^bb0(%[[R:[0-9]+]]: tensor<?x32xf32>):
// CHECK-NEXT: %n = slmq.rms_norm %[[R]]
// CHECK-NEXT: slmq.yield %n
// CHECK: slmq.strips 16 {
// CHECK-NEXT: %d = slmq.matmul %[[ROUNDED]]
// CHECK: slm.mixture "all" 4(%x) {
// CHECK-NOT: slmq.rows
// CHECK: %n2 = slmq.rms_norm
// CHECK-NOT: slmq.rows
// CHECK: func.return
func.func @forward(%x: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %l = slmq.matmul %x, #slm.weight<"router", tensor<4x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x4xf32>
  %p, %c = slmq.top_k %l count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  %y = slm.mixture "chosen" 4(%x) weights %p chosen %c {
  ^bb0(%g: tensor<?x16xf32>):
    %u = slmq.matmul %g, #slm.weight<"experts.{e}.up", tensor<32x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x32xf32>
    %n = slmq.rms_norm %u, #slm.weight<"n", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %d = slmq.matmul %n, #slm.weight<"experts.{e}.down", tensor<16x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x16xf32>
    slm.yield %d : tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> chosen tensor<?x2xi32> -> tensor<?x16xf32>
  %z = slm.mixture "all" 4(%x) {
  ^bb0(%g2: tensor<?x16xf32>):
    %u2 = slmq.matmul %g2, #slm.weight<"more.{e}.up", tensor<32x16xf32>> as "f32" : tensor<?x16xf32> -> tensor<?x32xf32>
    %n2 = slmq.rms_norm %u2, #slm.weight<"n", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %d2 = slmq.matmul %n2, #slm.weight<"more.{e}.down", tensor<16x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x16xf32>
    slm.yield %d2 : tensor<?x16xf32>
  } : tensor<?x16xf32> -> tensor<?x16xf32>
  func.return %y, %z : tensor<?x16xf32>, tensor<?x16xf32>
}
