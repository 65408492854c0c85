// RUN: not slmc opt %s
// CHECK: error: slm.attention: 2 numbers by layer for 0 layers
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.attention %x, %x, %x state "s" scale 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.scale: 1 numbers by layer for 2 layers
func.func @f(%0: tensor<?x8xf32>) {
  %1 = slm.layers "layers" [0, 0](%0) {
  ^bb0(%2: tensor<?x8xf32>):
    %3 = slmq.scale %2 by 5.000000e-01 by_layer [5.000000e-01] : tensor<?x8xf32>
    slm.yield %3 : tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x8xf32>
  func.return
}
