// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,choose-tiling{sram_bytes=2097152 context=700 chunk=8},convert-slmq-to-tile,canonicalize,cse'
// Full blocks are read as i4, keys along channels (8 in a group of 32) and values along positions; the block that fills is bf16.
// CHECK: %[[K:[0-9]+]] = tile.state {name = "s", part = "k", size_bytes = 8192 : i64} : index
// CHECK-NEXT: %[[V:[0-9]+]] = tile.state {name = "s", part = "v", size_bytes = 8192 : i64} : index
// CHECK-NEXT: %[[K4:[0-9]+]] = tile.state {name = "s", part = "k_int4", size_bytes = 16384 : i64} : index
// CHECK-NEXT: %[[V4:[0-9]+]] = tile.state {name = "s", part = "v_int4", size_bytes = 4096 : i64} : index
// CHECK-NEXT: tile.state {name = "s", part = "k_scale_int4", size_bytes = 512 : i64} : index
// CHECK-NEXT: tile.state {name = "s", part = "v_scale_int4", size_bytes = 4096 : i64} : index
// CHECK: %[[ZEROS:[0-9]+]] = tile.view %[[FOLDED:[0-9]+]] in sram + 16 as bf16 [24, 2, 2,
// CHECK-NEXT: tile.vun "mov" %[[ZEROS]] constant 0.000000e+00
// CHECK: scf.for %[[START:[0-9]+]] =
// CHECK: %[[FOLD:[0-9]+]] = tile.view %[[FOLDED]] in sram + 0 as bf16 [8, 2, 2,
// CHECK: tile.vbin "mul" %[[FOLD]], %{{[0-9]+}}, %{{[0-9]+}}
// CHECK: %[[KEYS:[0-9]+]] = tile.view %{{[0-9]+}} in sram + 0 as i4 group 32 [32, 256, 2, 1] strides [0, 16, 4096, 0]
// CHECK: tile.load %[[KEYS]],
// CHECK: %[[QUERIES:[0-9]+]] = tile.view %[[FOLDED]] in sram + 0 as bf16 [32, 2, 2,
// CHECK-NEXT: tile.mm %{{[0-9]+}}, %[[QUERIES]], %[[KEYS]]
// CHECK: %[[VALUES:[0-9]+]] = tile.view %{{[0-9]+}} in sram + 0 as i4 group 32 [256, 8, 2, 1] strides [0, 128, 1024, 0]
// CHECK: tile.load %[[VALUES]],
// CHECK: tile.vsmx
// CHECK: tile.vbin "mul" %[[P:[0-9]+]],
// CHECK: tile.mm %{{[0-9]+}}, %[[P]], %[[VALUES]] accumulate
// CHECK-NEXT: }
// CHECK: as bf16 [8, %{{[0-9]+}}, 2, 1] strides [2, 16, 4096, 0]
// CHECK: tile.vsmx
// CHECK: scf.if
// CHECK: tile.vred "amax"
// CHECK: constant 0.142857149
// CHECK: as i4 group 32 [32, 256, 2, 1] strides [0, 16, 8192, 0]
// CHECK-NEXT: tile.store
// CHECK: tile.vred "amax"
// CHECK: as i4 group 32 [256, 8, 2, 1] strides [0, 128, 2048, 0]
// CHECK-NEXT: tile.store
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x4x8xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x4x8xf32>
  %k = slmq.embed %tokens, #slm.weight<"keys", tensor<64x2x8xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x2x8xf32>
  %q = slmq.round %x : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
  %kv = slmq.round %k : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
  %y = slmq.attention %q, %kv, %kv state "s" int4 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  %z = slmq.round %y : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
  %l = slmq.matmul %z, #slm.weight<"head", tensor<32x32xf32>> as "bf16" : tensor<?x4x8xbf16> -> tensor<?x32xf32>
  func.return %l : tensor<?x32xf32>
}
