// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=8},convert-slmq-to-tile'
// The last two rows and the chunk's rows lie one after the other. At position 0 the first two are zeros, else they come from KV.
// One product starts the sum, a loop adds the other taps; the last two rows go back to KV.
// CHECK: tile.weight {kind = "transposed", key = "w", rows = 32 : i64, columns = 3 : i64} : index
// CHECK: %[[STATE:.*]] = tile.state {name = "conv.0", part = "rows", size_bytes = 256 : i64} : index
// CHECK: scf.for
// CHECK: %[[WINDOW:.*]] = tile.alloc "conv_rows" in "sram" bytes 1280 stream : !tile.buffer
// CHECK: %[[STARTS:.*]] = arith.cmpi eq, %[[POSITION:.*]], %{{.*}} : index
// CHECK: scf.if %[[STARTS]] {
// CHECK-NEXT: tile.vun "mov" %{{.*}} constant 0.000000e+00
// CHECK: } else {
// CHECK: tile.view kv
// CHECK: tile.load
// CHECK: }
// CHECK: tile.vun "mov"
// CHECK: tile.alloc "conv_taps" in "sram" bytes 384 stream
// CHECK: tile.vbin "mul"
// CHECK: scf.for
// CHECK: tile.vmad "mad"
// CHECK: tile.alloc "conv_bias" in "sram" bytes 128 stream
// CHECK: tile.vbin "add"
// CHECK: tile.view kv
// CHECK: tile.store
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %c = slmq.causal_conv %x, #slm.weight<"w", tensor<32x3xf32>> bias #slm.weight<"b", tensor<32xf32>> state "conv.0" : tensor<?x32xf32>
  %y = slmq.matmul %c, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
// -----
// With one tap there is nothing to remember.
// CHECK-NOT: tile.state
// CHECK: tile.alloc "conv_rows" in "sram" bytes 1024 stream
// CHECK-NOT: tile.view kv
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
  %c = slmq.causal_conv %x, #slm.weight<"w", tensor<32x1xf32>> state "conv.0" : tensor<?x32xf32>
  %y = slmq.matmul %c, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
