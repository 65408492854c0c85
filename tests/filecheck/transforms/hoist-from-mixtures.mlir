// RUN: slmc opt --no-locations %s -p hoist-from-mixtures
// What does not know its expert is computed once for all rows; the body then reads the result instead of %h.
// CHECK: func.func @forward(%h: tensor<?x16xf32>, %p: tensor<?x4xf32>) -> tensor<?x16xf32> {
// CHECK-NEXT: %q, %s = slmq.quantize %h axes 1 : tensor<?x16xf32> -> tensor<?x16xi8>, tensor<?x1xf32>
// CHECK-NEXT: %z = slmq.matmul %q scale %s, #slm.weight<"shared", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x16xf32>
// CHECK-NEXT: %y = slm.mixture "experts" 4(%q, %s, %z) weights %p {
// CHECK-NEXT: ^bb0(%0: tensor<?x16xi8>, %1: tensor<?x1xf32>, %2: tensor<?x16xf32>):
// CHECK-NEXT: %d = slmq.matmul %0 scale %1, #slm.weight<"experts.{e}.up", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x16xf32>
// CHECK-NEXT: %a = slmq.add %d, %2 : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
// CHECK-NEXT: slm.yield %a : tensor<?x16xf32>
// CHECK-NEXT: } : tensor<?x16xi8>, tensor<?x1xf32>, tensor<?x16xf32> weights tensor<?x4xf32> -> tensor<?x16xf32>
func.func @forward(%h: tensor<?x16xf32>, %p: tensor<?x4xf32>) -> tensor<?x16xf32> {
  %y = slm.mixture "experts" 4(%h) weights %p {
  ^bb0(%g: tensor<?x16xf32>):
    %q, %s = slmq.quantize %g axes 1 : tensor<?x16xf32> -> tensor<?x16xi8>, tensor<?x1xf32>
    %d = slmq.matmul %q scale %s, #slm.weight<"experts.{e}.up", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x16xf32>
    %z = slmq.matmul %q scale %s, #slm.weight<"shared", tensor<16x16xf32>> as "i8" : tensor<?x16xi8> scale tensor<?x1xf32> -> tensor<?x16xf32>
    %a = slmq.add %d, %z : tensor<?x16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
    slm.yield %a : tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> -> tensor<?x16xf32>
  func.return %y : tensor<?x16xf32>
}
// -----
// Columns and norms of an expert stay, and so does what is computed from them.
// CHECK: func.func @forward
// CHECK-NEXT: %y = slm.mixture "experts" 4(%h, %p) {
// CHECK-NEXT: ^bb0(%g: tensor<?x4xf32>, %q: tensor<?x4xf32>):
// CHECK-NEXT: slmq.column %q :
// CHECK-NEXT: slmq.rms_norm %g,
// CHECK-NEXT: slmq.mul
func.func @forward(%h: tensor<?x4xf32>, %p: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = slm.mixture "experts" 4(%h, %p) {
  ^bb0(%g: tensor<?x4xf32>, %q: tensor<?x4xf32>):
    %c = slmq.column %q : tensor<?x4xf32> -> tensor<?x1xf32>
    %n = slmq.rms_norm %g, #slm.weight<"experts.{e}.norm", tensor<4xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x4xf32>
    %a = slmq.mul %n, %c : tensor<?x4xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
    slm.yield %a : tensor<?x4xf32>
  } : tensor<?x4xf32>, tensor<?x4xf32> -> tensor<?x4xf32>
  func.return %y : tensor<?x4xf32>
}
