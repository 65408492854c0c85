// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: slm.attention %{{.*}} state "s" scale 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] :
// CHECK: slmq.scale %{{.*}} by 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] :
func.func @f(%0: tensor<?x4x8xf32>) -> tensor<?x4x8xf32> {
  %1 = slm.layers "layers" [0, 0](%0) {
  ^bb0(%2: tensor<?x4x8xf32>):
    %3 = slm.attention %2, %2, %2 state "s" scale 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
    %4 = slmq.scale %3 by 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] : tensor<?x4x8xf32>
    slm.yield %4 : tensor<?x4x8xf32>
  } : tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  func.return %1 : tensor<?x4x8xf32>
}
