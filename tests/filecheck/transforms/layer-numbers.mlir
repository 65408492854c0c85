// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=8},convert-slmq-to-tile'
// Layers that differ in a scale alone have one body: the scale is a number of the layer, here 0.5 or 0.25 as f32 bits.
// CHECK: tile.mark 0 %[[LAYER:[0-9]+]]
// CHECK: %[[BITS:.*]] = tile.kind "factors" [1056964608, 1048576000] %[[LAYER]] : index
// CHECK: tile.vbin "mul" %{{.*}}, %{{.*}} scalar %[[BITS]]
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0, 0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %q = slm.linear %l, #slm.weight<"layers.{i}.q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
    %a = slm.attention %q, %q, %q state "layers.{i}.s" scale 5.000000e-01 by_layer [5.000000e-01, 2.500000e-01] : tensor<?x4x8xf32>, tensor<?x4x8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
    %r = slm.linear %a, #slm.weight<"layers.{i}.o", tensor<32x32xf32>> : tensor<?x4x8xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = slm.linear %h, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
