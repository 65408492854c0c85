// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=8},convert-slmq-to-tile,canonicalize,cse'
// Two tables, of 24 and 64 positions; a sequence that grows past 24 tokens is processed again from position 0.
// CHECK: %[[POS:[0-9]+]] = tile.lds 8 + 40 : index
// CHECK-NEXT: %[[COUNT:[0-9]+]] = tile.lds 8 + 24 : index
// CHECK-NEXT: %[[ORIGINAL:[0-9]+]] = arith.constant 24 : index
// CHECK-NEXT: %[[GROWN:[0-9]+]] = arith.cmpi sgt, %[[COUNT]], %[[ORIGINAL]] : index
// CHECK-NEXT: %[[AGAIN:[0-9]+]] = scf.if %[[GROWN]]
// CHECK: %[[WITHIN:[0-9]+]] = arith.cmpi sle, %[[POS]], %[[ORIGINAL]] : index
// CHECK-NEXT: %[[START:[0-9]+]] = scf.if %[[WITHIN]]
// CHECK-NEXT: scf.yield %[[AGAIN]] : index
// CHECK-NEXT: } else {
// CHECK-NEXT: scf.yield %[[POS]] : index
// CHECK: scf.while (%{{.*}} = %[[START]]
// CHECK: tile.mark 1
// CHECK: %[[NEXT:[0-9]+]] = arith.addi
// CHECK-NEXT: %[[LAST:[0-9]+]] = arith.cmpi eq
// CHECK: %[[LENGTH:[0-9]+]] = arith.addi
// CHECK-NEXT: %[[SHORT:[0-9]+]] = arith.cmpi sle, %[[LENGTH]], %[[ORIGINAL]] : index
// CHECK-NEXT: scf.if %[[SHORT]] {
// CHECK-NEXT: tile.table {kind = "rotary", {{.*}}positions = 24 : i64}
// CHECK: strides [4, 8, 192, 0]
// CHECK-NEXT: tile.load
// CHECK-NEXT: } else {
// CHECK-NEXT: tile.table {kind = "rotary", {{.*}}positions = 64 : i64}
// CHECK: strides [4, 8, 512, 0]
// CHECK-NEXT: tile.load
// CHECK-NEXT: }
// CHECK: %[[GO:[0-9]+]] = scf.if %[[LAST]]
// CHECK: %[[FIRST:[0-9]+]] = scf.if %[[LAST]]
// CHECK: %[[AT:[0-9]+]] = arith.cmpi eq, %[[NEXT]], %[[ORIGINAL]] : index
// CHECK-NEXT: %[[FROM:[0-9]+]] = scf.if %[[AT]]
// CHECK-NEXT: scf.yield %[[FIRST]] : index
// CHECK-NEXT: } else {
// CHECK-NEXT: scf.yield %[[NEXT]] : index
// CHECK: scf.yield %[[FROM]], %[[GO]] : index, index
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x2x8xf32>> : tensor<?xi32> -> tensor<?x2x8xf32>
  %r = slm.rope %x, #slm.rotary<4, 10000.0, 64, 24, {rope_type = "longrope", short_factor = [1.0 : f64, 1.0 : f64], long_factor = [2.0 : f64, 3.0 : f64]}> : tensor<?x2x8xf32>
  %y = slm.linear %r, #slm.weight<"head", tensor<64x16xf32>> : tensor<?x2x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
