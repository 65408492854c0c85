// RUN: not slmc opt --no-locations %s -p cut-rows
// CHECK: slmq.add of 4 rows reads a tensor of [1, 6]
func.func @encode_image(%pixels: tensor<3x8x8xf32>) -> tensor<4x6xf32> {
  %p = slmq.patches %pixels size 4 : tensor<3x8x8xf32> -> tensor<4x3x4x4xf32>
  %e = slmq.matmul %p, #slm.weight<"patch", tensor<6x48xf32>> as "f32" : tensor<4x3x4x4xf32> -> tensor<4x6xf32>
  %t = slmq.tensor #slm.weight<"one", tensor<1x6xf32>> : tensor<1x6xf32>
  %n = slmq.l2_normalize %t : tensor<1x6xf32>
  %y = slmq.add %e, %n : tensor<4x6xf32>, tensor<1x6xf32> -> tensor<4x6xf32>
  func.return %y : tensor<4x6xf32>
}
