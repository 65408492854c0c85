// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64},convert-slmq-to-tile'
// Between strips the tensor is loaded whole; in a strip only the strip's columns are, into a buffer that takes turns.
// Its row is read by every token: stride 0. It has no rows to select.
// CHECK: tile.weight {kind = "vector", key = "s", rows = 1 : i64, columns = 32 : i64
// CHECK: %[[WHOLE:.*]] = tile.alloc "tensor" in "sram" bytes 128 : !tile.buffer
// CHECK: tile.view %[[WHOLE]] in sram + 0 as f32 [32, %{{.*}}, 1, 1] strides [4, 0, 0, 0]
// CHECK-NEXT: tile.vbin "mul"
// CHECK: %[[PART:.*]] = tile.alloc "tensor" in "sram" bytes 64 stream
// CHECK: tile.view %[[PART]] in sram + 0 as f32 [16, %{{.*}}, 1, 1] strides [4, 0, 0, 0]
// CHECK-NEXT: tile.vbin "add"
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %s = slmq.tensor #slm.weight<"s", tensor<32xf32>> : tensor<32xf32>
  %b = slmq.tensor #slm.weight<"b", tensor<64xf32>> : tensor<64xf32>
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %h = slmq.mul %x, %s : tensor<?x32xf32>, tensor<32xf32> -> tensor<?x32xf32>
  %y = slmq.matmul %h, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  %z = slmq.add %y, %b : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
  func.return %z : tensor<?x64xf32>
}
