// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"},cse,add-sampling,hoist-from-mixtures,cse,fuse-strips,choose-tiling{sram_bytes=65536 context=64 chunk=4},convert-slmq-to-tile,canonicalize,cse'
// One loop over the layers, in it one over the experts: the rows that chose an expert are gathered; without any, weights are not read.
// CHECK: func.func @generate() {
// CHECK: tile.vun "mov"
// CHECK: scf.for %[[LAYER:[0-9]+]] =
// CHECK-NEXT: tile.mark 0 %[[LAYER]]
// CHECK: tile.weight {kind = "matrix", key = "layers.{i}.router.weight", format = "f32"
// The choice: an empty list for each row, vtopk, and the kept values among zeros.
// CHECK: %[[LISTS:[0-9]+]] = tile.alloc "choices" in "smem" bytes 64 : !tile.buffer
// CHECK: tile.vun "mov" %{{.*}} constant 0xff800000
// CHECK: tile.vtopk
// CHECK: tile.vun "mov" %{{.*}} constant 0.000000e+00
// CHECK: tile.lds 4 of %[[LISTS]]
// CHECK: arith.cmpi slt
// The rows are quantised: the factor before the scale, which nothing waits for.
// CHECK: tile.vun "mov" %{{.*}} constant 1.270000e+02
// CHECK: tile.vred "amax"
// CHECK: tile.vbin "max"
// CHECK: tile.vbin "div"
// CHECK: tile.vbin "mul"
// CHECK: tile.vbin "mul" %{{.*}} constant {{0.0078740157|7.8740157}}
// The experts.
// CHECK: scf.for %[[EXPERT:[0-9]+]] =
// CHECK: %[[MEMBERS:[0-9]+]] = tile.alloc "members" in "smem" bytes 16 : !tile.buffer
// CHECK: %[[COUNT:[0-9]+]] = scf.for
// CHECK: %[[FOUND:[0-9]+]] = tile.lds 4 of %[[LISTS]]
// CHECK: arith.cmpi eq, %[[FOUND]], %[[EXPERT]]
// CHECK: tile.sts 4 %{{.*}} of %[[MEMBERS]]
// CHECK: %[[SOMEBODY:[0-9]+]] = arith.cmpi ne, %[[COUNT]]
// CHECK-NEXT: scf.if %[[SOMEBODY]] {
// CHECK: tile.alloc "gathered" in "sram" bytes 64 : !tile.buffer
// CHECK: tile.alloc "gathered" in "sram" bytes 16 : !tile.buffer
// CHECK: scf.for
// CHECK: tile.lds 4 of %[[MEMBERS]]
// CHECK: tile.vun "mov"
// CHECK: %[[FIRST:[0-9]+]] = tile.weight {kind = "matrix", key = "layers.{i}.experts.{e}.up.weight", format = "i8", rows = 16 : i64, columns = 16 : i64, experts = 3 : i64, layers = array<i64: 0, 1>} layer %[[LAYER]]
// CHECK-NEXT: %[[STRIDE:[0-9]+]] = arith.constant 320 : index
// CHECK-NEXT: %[[OFFSET:[0-9]+]] = arith.muli %[[EXPERT]], %[[STRIDE]] : index
// CHECK-NEXT: %[[BASE:[0-9]+]] = arith.addi %[[FIRST]], %[[OFFSET]] : index
// CHECK: tile.mm
// CHECK: tile.lds 4 of %[[MEMBERS]]
// CHECK: tile.vmad "mad"
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed.weight", tensor<32x16xf32>> : tensor<?xi32> -> tensor<?x16xf32>
  %o = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x16xf32>):
    %l = slm.linear %h, #slm.weight<"layers.{i}.router.weight", tensor<3x16xf32>> : tensor<?x16xf32> -> tensor<?x3xf32>
    %p, %c = slm.top_k %l count 2 : tensor<?x3xf32>, tensor<?x2xi32>
    %y = slm.mixture "experts" 3(%h) weights %p chosen %c {
    ^bb0(%g: tensor<?x16xf32>):
      %d = slm.linear %g, #slm.weight<"layers.{i}.experts.{e}.up.weight", tensor<16x16xf32>> : tensor<?x16xf32> -> tensor<?x16xf32>
      slm.yield %d : tensor<?x16xf32>
    } : tensor<?x16xf32> weights tensor<?x3xf32> chosen tensor<?x2xi32> -> tensor<?x16xf32>
    slm.yield %y : tensor<?x16xf32>
  } : tensor<?x16xf32> -> tensor<?x16xf32>
  %r = slm.linear %o, #slm.weight<"head.weight", tensor<32x16xf32>> : tensor<?x16xf32> -> tensor<?x32xf32>
  func.return %r : tensor<?x32xf32>
}
