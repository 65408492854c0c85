// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @forward(%0: tensor<?x16xf32>) -> tensor<?x16xf32> {
func.func @forward(%0: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // CHECK-NEXT: %1 = slm.linear %0, #slm.weight<"router", tensor<4x16xf32>> : tensor<?x16xf32> -> tensor<?x4xf32>
  %1 = slm.linear %0, #slm.weight<"router", tensor<4x16xf32>> : tensor<?x16xf32> -> tensor<?x4xf32>
  // CHECK-NEXT: %2 = slm.softmax %1 : tensor<?x4xf32>
  %2 = slm.softmax %1 : tensor<?x4xf32>
  // CHECK-NEXT: %3, %4 = slm.top_k %2 count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  %3, %4 = slm.top_k %2 count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  // CHECK-NEXT: %5 = slm.reduce_sum %3 : tensor<?x4xf32> -> tensor<?x1xf32>
  %5 = slm.reduce_sum %3 : tensor<?x4xf32> -> tensor<?x1xf32>
  // CHECK-NEXT: %6 = slm.column %3 at 3 : tensor<?x4xf32> -> tensor<?x1xf32>
  %6 = slm.column %3 at 3 : tensor<?x4xf32> -> tensor<?x1xf32>
  // CHECK-NEXT: %7 = slm.mixture "experts" 4(%0) weights %3 chosen %4 {
  %7 = slm.mixture "experts" 4(%0) weights %3 chosen %4 {
  // CHECK-NEXT: ^bb0(%8: tensor<?x16xf32>):
  ^bb0(%8: tensor<?x16xf32>):
    // CHECK-NEXT: %9 = slm.linear %8, #slm.weight<"experts.{e}.up", tensor<16x16xf32>> : tensor<?x16xf32> -> tensor<?x16xf32>
    %9 = slm.linear %8, #slm.weight<"experts.{e}.up", tensor<16x16xf32>> : tensor<?x16xf32> -> tensor<?x16xf32>
    // CHECK-NEXT: slm.yield %9 : tensor<?x16xf32>
    slm.yield %9 : tensor<?x16xf32>
  // CHECK-NEXT: } : tensor<?x16xf32> weights tensor<?x4xf32> chosen tensor<?x2xi32> -> tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> chosen tensor<?x2xi32> -> tensor<?x16xf32>
  // CHECK-NEXT: %10 = slm.mixture "experts" 4(%7) weights %2 {
  %10 = slm.mixture "experts" 4(%7) weights %2 {
  // CHECK-NEXT: ^bb0(%11: tensor<?x16xf32>):
  ^bb0(%11: tensor<?x16xf32>):
    // CHECK-NEXT: slm.yield %11 : tensor<?x16xf32>
    slm.yield %11 : tensor<?x16xf32>
  // CHECK-NEXT: } : tensor<?x16xf32> weights tensor<?x4xf32> -> tensor<?x16xf32>
  } : tensor<?x16xf32> weights tensor<?x4xf32> -> tensor<?x16xf32>
  // CHECK-NEXT: %12 = slm.mixture "experts" 4(%10, %2) {
  %12 = slm.mixture "experts" 4(%10, %2) {
  // CHECK-NEXT: ^bb0(%13: tensor<?x16xf32>, %14: tensor<?x4xf32>):
  ^bb0(%13: tensor<?x16xf32>, %14: tensor<?x4xf32>):
    // CHECK-NEXT: %15 = slm.column %14 : tensor<?x4xf32> -> tensor<?x1xf32>
    %15 = slm.column %14 : tensor<?x4xf32> -> tensor<?x1xf32>
    // CHECK-NEXT: %16 = slm.add %13, %15 : tensor<?x16xf32>, tensor<?x1xf32> -> tensor<?x16xf32>
    %16 = slm.add %13, %15 : tensor<?x16xf32>, tensor<?x1xf32> -> tensor<?x16xf32>
    // CHECK-NEXT: slm.yield %16 : tensor<?x16xf32>
    slm.yield %16 : tensor<?x16xf32>
  // CHECK-NEXT: } : tensor<?x16xf32>, tensor<?x4xf32> -> tensor<?x16xf32>
  } : tensor<?x16xf32>, tensor<?x4xf32> -> tensor<?x16xf32>
  // CHECK-NEXT: func.return %12 : tensor<?x16xf32>
  func.return %12 : tensor<?x16xf32>
}
