// RUN: not slmc opt %s -p 'choose-tiling{sram_bytes=65536 context=65},convert-slmq-to-tile'
// CHECK: error: a context of 65 is longer than the 64 positions of "pos"
func.func @forward(%tokens: tensor<?xi32>) -> tensor<1xi32> {
  %q = slmq.position_rows #slm.weight<"pos", tensor<66x32xf32>> as "f32" offset 2 : tensor<?x32xf32>
  %t = slmq.sample %q : tensor<?x32xf32> -> tensor<1xi32>
  func.return %t : tensor<1xi32>
}
