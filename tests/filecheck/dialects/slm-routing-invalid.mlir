// RUN: not slmc opt %s
// CHECK: error: slm.softmax: slm.softmax works on the last dimension of f32 [T, ..], found tensor<?xf32>
func.func @f(%x: tensor<?xf32>) {
  %y = slm.softmax %x : tensor<?xf32>
  func.return
}
// -----
// CHECK: error: slm.softmax: slm.softmax works on the last dimension of f32 [T, ..], found tensor<?x4xbf16>
func.func @f(%x: tensor<?x4xbf16>) {
  %y = slm.softmax %x : tensor<?x4xbf16>
  func.return
}
// -----
// CHECK: error: slm.reduce_sum: slm.reduce_sum of tensor<?x4xf32> is tensor<?x1xf32>, found tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) {
  %y = slm.reduce_sum %x : tensor<?x4xf32> -> tensor<?x4xf32>
  func.return
}
// -----
// CHECK: error: slm.top_k: slm.top_k keeps 1 to 4 of [?, 4], found 5
func.func @f(%x: tensor<?x4xf32>) {
  %y, %c = slm.top_k %x count 5 : tensor<?x4xf32>, tensor<?x5xi32>
  func.return
}
// -----
// CHECK: error: slm.top_k: slm.top_k keeps 1 to 64 of [?, 80], found 65
func.func @f(%x: tensor<?x80xf32>) {
  %y, %c = slm.top_k %x count 65 : tensor<?x80xf32>, tensor<?x65xi32>
  func.return
}
// -----
// CHECK: error: slm.top_k: the choice of 2 of [?, 4] is tensor<?x2xi32>, found tensor<?x3xi32>
func.func @f(%x: tensor<?x4xf32>) {
  %y, %c = slm.top_k %x count 2 : tensor<?x4xf32>, tensor<?x3xi32>
  func.return
}
// -----
// CHECK: error: slm.column: column 4 of [?, 4]
func.func @f(%x: tensor<?x4xf32>) {
  %y = slm.column %x at 4 : tensor<?x4xf32> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slm.column: slm.column of tensor<?x4xf32> is tensor<?x1xf32>, found tensor<?x2xf32>
func.func @f(%x: tensor<?x4xf32>) {
  %y = slm.column %x at 1 : tensor<?x4xf32> -> tensor<?x2xf32>
  func.return
}
// -----
// CHECK: error: slm.column: the column of the expert, but there is no mixture around it
func.func @f(%x: tensor<?x4xf32>) {
  %y = slm.column %x : tensor<?x4xf32> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: a mixture has at least 1 expert, found 0
func.func @f(%x: tensor<?x8xf32>) {
  %y = slm.mixture "experts" 0(%x) {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h : tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: the body of a mixture takes the values of the mixture, at least one
func.func @f(%x: tensor<?x8xf32>) {
  %y = slm.mixture "experts" 2(%x) {
  ^bb0(%h: tensor<?x9xf32>):
    slm.yield %h : tensor<?x9xf32>
  } : tensor<?x8xf32> -> tensor<?x9xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: the body of a mixture yields one value
func.func @f(%x: tensor<?x8xf32>) {
  %y = slm.mixture "experts" 2(%x) {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h, %h : tensor<?x8xf32>, tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: a mixture of tensor<?x8xf32> is f32 of that shape, found tensor<?x9xf32>
func.func @f(%x: tensor<?x8xf32>) {
  %y = slm.mixture "experts" 2(%x) {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h : tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x9xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: weights of 2 experts are [T, 2], found tensor<?x3xf32>
func.func @f(%x: tensor<?x8xf32>, %p: tensor<?x3xf32>) {
  %y = slm.mixture "experts" 2(%x) weights %p {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h : tensor<?x8xf32>
  } : tensor<?x8xf32> weights tensor<?x3xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: chosen experts are i32 [T, k] beside weights, found tensor<?x1xi32>
func.func @f(%x: tensor<?x8xf32>, %c: tensor<?x1xi32>) {
  %y = slm.mixture "experts" 2(%x) chosen %c {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h : tensor<?x8xf32>
  } : tensor<?x8xf32> chosen tensor<?x1xi32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: chosen experts are i32 [T, k] beside weights, found tensor<?x1xf32>
func.func @f(%x: tensor<?x8xf32>, %p: tensor<?x2xf32>, %c: tensor<?x1xf32>) {
  %y = slm.mixture "experts" 2(%x) weights %p chosen %c {
  ^bb0(%h: tensor<?x8xf32>):
    slm.yield %h : tensor<?x8xf32>
  } : tensor<?x8xf32> weights tensor<?x2xf32> chosen tensor<?x1xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: slm.mixture inside of a mixture
func.func @f(%x: tensor<?x8xf32>) {
  %y = slm.mixture "experts" 2(%x) {
  ^bb0(%h: tensor<?x8xf32>):
    %z = slm.mixture "inner" 2(%h) {
    ^bb0(%g: tensor<?x8xf32>):
      slm.yield %g : tensor<?x8xf32>
    } : tensor<?x8xf32> -> tensor<?x8xf32>
    slm.yield %z : tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.mixture: a mixture has a row for each token, found tensor<8xf32>
func.func @f(%x: tensor<8xf32>) {
  %y = slm.mixture "experts" 2(%x) {
  ^bb0(%h: tensor<8xf32>):
    slm.yield %h : tensor<8xf32>
  } : tensor<8xf32> -> tensor<8xf32>
  func.return
}
