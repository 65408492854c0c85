// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=24 chunk=8},convert-slmq-to-tile,canonicalize,cse'
// The context does not exceed the original length: one table, and the loop of any model.
// CHECK: %[[POS:[0-9]+]] = tile.lds 8 + 40 : index
// CHECK-NOT: scf.if
// CHECK: scf.while (%{{.*}} = %[[POS]]
// CHECK: %[[NEXT:[0-9]+]] = arith.addi
// CHECK-NEXT: arith.cmpi eq
// CHECK: tile.alloc "rotary"
// CHECK-NEXT: tile.table {kind = "rotary", {{.*}}positions = 24 : i64}
// CHECK-NOT: tile.table {kind = "rotary"
// CHECK: scf.yield %[[NEXT]], %{{.*}} : index, index
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x2x8xf32>> : tensor<?xi32> -> tensor<?x2x8xf32>
  %r = slm.rope %x, #slm.rotary<4, 10000.0, 64, 24, {rope_type = "longrope", short_factor = [1.0 : f64, 1.0 : f64], long_factor = [2.0 : f64, 3.0 : f64]}> : tensor<?x2x8xf32>
  %y = slm.linear %r, #slm.weight<"head", tensor<64x16xf32>> : tensor<?x2x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
