// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @forward(%0: tensor<?x4xf32>) -> tensor<?x1xf32> {
func.func @forward(%0: tensor<?x4xf32>) -> tensor<?x1xf32> {
  // CHECK-NEXT: %1 = slmq.softmax %0 : tensor<?x4xf32>
  %1 = slmq.softmax %0 : tensor<?x4xf32>
  // CHECK-NEXT: %2, %3 = slmq.top_k %1 count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  %2, %3 = slmq.top_k %1 count 2 : tensor<?x4xf32>, tensor<?x2xi32>
  // CHECK-NEXT: %4 = slmq.reduce_sum %2 : tensor<?x4xf32> -> tensor<?x1xf32>
  %4 = slmq.reduce_sum %2 : tensor<?x4xf32> -> tensor<?x1xf32>
  // CHECK-NEXT: %5 = slmq.column %2 at 0 : tensor<?x4xf32> -> tensor<?x1xf32>
  %5 = slmq.column %2 at 0 : tensor<?x4xf32> -> tensor<?x1xf32>
  // CHECK-NEXT: %6 = slmq.add %4, %5 : tensor<?x1xf32>, tensor<?x1xf32> -> tensor<?x1xf32>
  %6 = slmq.add %4, %5 : tensor<?x1xf32>, tensor<?x1xf32> -> tensor<?x1xf32>
  // CHECK-NEXT: func.return %6 : tensor<?x1xf32>
  func.return %6 : tensor<?x1xf32>
}
