// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64},convert-slmq-to-tile'
// One generate loop around a chunk, one loop for all three layers, one loop per matrix for its strips.
// CHECK: func.func @generate() {
// CHECK: scf.while
// CHECK: tile.mark 1
// CHECK: tile.weight {kind = "rows", key = "embed"
// CHECK: %[[LAYERS:.*]] = arith.constant 3 : index
// CHECK: scf.for %[[LAYER:[0-9]+]] = %{{.*}} to %[[LAYERS]] step
// CHECK-NEXT: tile.mark 0 %[[LAYER]]
// CHECK: tile.weight {kind = "vector", key = "layers.{i}.norm", {{.*}}layers = array<i64: 0, 1, 2>} layer %[[LAYER]] : index
// CHECK: tile.vred "sum"
// CHECK: tile.vun "sqrt"
// Two strips are worked on at once: one is multiplied, the one before is finished.
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.up"
// CHECK: %[[PRODUCTS:.*]] = tile.alloc "products" in "sram" bytes 8192 : !tile.buffer
// CHECK: tile.alloc "weights" in "sram" bytes 4096 : !tile.buffer
// CHECK: scf.for %[[STRIP:[0-9]+]] = {{.*}} iter_args(%[[TURN:[0-9]+]] =
// CHECK: %[[IS_STRIP:[0-9]+]] = arith.cmpi slt, %[[STRIP]],
// CHECK: %[[OTHER:[0-9]+]] = arith.subi %{{[0-9]+}}, %[[TURN]]
// CHECK-NEXT: scf.if %[[IS_STRIP]] {
// CHECK: %[[OWN:[0-9]+]] = arith.muli %[[TURN]],
// CHECK: tile.view %[[PRODUCTS]] in sram + %[[OWN]]
// CHECK: tile.mm
// The next strip is loaded in front of the instructions that wait for the products before.
// CHECK: tile.load
// CHECK: arith.cmpi ne, %[[STRIP]],
// CHECK-NEXT: scf.if
// CHECK: %[[FINISHED:[0-9]+]] = arith.muli %[[OTHER]], %
// CHECK: tile.view %[[PRODUCTS]] in sram + %
// CHECK: tile.vun "sigmoid"
// CHECK: scf.yield %[[OTHER]]
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.down"
// CHECK: tile.vbin "add"
// CHECK: tile.weight {kind = "matrix", key = "head"
// CHECK: tile.vtopk
// CHECK: tile.event 1
// CHECK-NOT: slmq.
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0, 0, 0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %n = slm.rms_norm %l, #slm.weight<"layers.{i}.norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
    %u = slm.linear %n, #slm.weight<"layers.{i}.up", tensor<96x32xf32>> : tensor<?x32xf32> -> tensor<?x96xf32>
    %s = slm.activation "silu" %u : tensor<?x96xf32>
    %d = slm.linear %s, #slm.weight<"layers.{i}.down", tensor<32x96xf32>> : tensor<?x96xf32> -> tensor<?x32xf32>
    %r = slm.add %l, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = slm.linear %h, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
