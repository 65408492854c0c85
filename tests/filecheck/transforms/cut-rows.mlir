// RUN: slmc opt --no-locations %s -p cut-rows
// A region ends where whole tensors are needed: by concat, by the layers, by attention for its keys and values; also where the
// number of rows changes. What only each row needs (a vector, here %shift) stays outside and is read whole.
// CHECK: func.func @encode_image(%pixels: tensor<3x8x8xf32>) -> tensor<2x6xf32> {
// CHECK-NEXT: %p = slmq.patches %pixels
// CHECK-NEXT: %0 = slmq.rows(%p) {
// CHECK-NEXT: ^bb0(%1: tensor<?x3x4x4xf32>):
// CHECK-NEXT: %e = slmq.matmul %1
// CHECK-NEXT: slmq.yield %e : tensor<?x6xf32>
// CHECK-NEXT: } : tensor<4x3x4x4xf32> -> tensor<4x6xf32>
// CHECK-NEXT: %class = slmq.tensor
// CHECK-NEXT: %c = slmq.concat %class, %0
// CHECK-NEXT: %shift = slmq.tensor
// CHECK-NEXT: %places = slmq.tensor
// CHECK-NEXT: %2 = slmq.rows(%c, %places) {
// CHECK-NEXT: ^bb0(%3: tensor<?x6xf32>, %4: tensor<?x6xf32>):
// CHECK-NEXT: %m = slmq.add %3, %4 : tensor<?x6xf32>, tensor<?x6xf32> -> tensor<?x6xf32>
// CHECK-NEXT: %s = slmq.mul %m, %shift : tensor<?x6xf32>, tensor<6xf32> -> tensor<?x6xf32>
// CHECK-NEXT: slmq.yield %s : tensor<?x6xf32>
// CHECK-NEXT: } : tensor<5x6xf32>, tensor<5x6xf32> -> tensor<5x6xf32>
// CHECK-NEXT: %l = slm.layers "eyes" [0, 0](%2) {
// CHECK-NEXT: ^bb0(%x: tensor<5x6xf32>):
// CHECK-NEXT: %5 = slmq.rows(%x) {
// CHECK-NEXT: ^bb0(%6: tensor<?x6xf32>):
// CHECK-NEXT: %k = slmq.matmul %6
// CHECK-NEXT: slmq.yield %k : tensor<?x2x3xf32>
// CHECK-NEXT: } : tensor<5x6xf32> -> tensor<5x2x3xf32>
// CHECK-NEXT: %7 = slmq.rows(%5, %x) {
// CHECK-NEXT: ^bb0(%8: tensor<?x2x3xf32>, %9: tensor<?x6xf32>):
// CHECK-NEXT: %a = slmq.full_attention %8, %5, %5 : tensor<?x2x3xf32>, tensor<5x2x3xf32>, tensor<5x2x3xf32> -> tensor<?x2x3xf32>
// CHECK-NEXT: %o = slmq.matmul %a
// CHECK-NEXT: %y = slmq.add %9, %o
// CHECK-NEXT: slmq.yield %y : tensor<?x6xf32>
// CHECK-NEXT: } : tensor<5x2x3xf32>, tensor<5x6xf32> -> tensor<5x6xf32>
// CHECK-NEXT: slm.yield %7 : tensor<5x6xf32>
// CHECK-NEXT: } : tensor<5x6xf32> -> tensor<5x6xf32>
// CHECK-NEXT: %latents = slmq.tensor
// CHECK-NEXT: %10 = slmq.rows(%latents) {
// CHECK: %q = slmq.matmul
// CHECK: } : tensor<2x6xf32> -> tensor<2x2x3xf32>
// CHECK-NEXT: %{{.*}} = slmq.rows(%l) {
// CHECK: %kk = slmq.matmul
// CHECK: } : tensor<5x6xf32> -> tensor<5x2x3xf32>
// CHECK-NEXT: %{{.*}} = slmq.rows(%10) {
// CHECK: %aa = slmq.full_attention
func.func @encode_image(%pixels: tensor<3x8x8xf32>) -> tensor<2x6xf32> {
  %p = slmq.patches %pixels size 4 : tensor<3x8x8xf32> -> tensor<4x3x4x4xf32>
  %e = slmq.matmul %p, #slm.weight<"patch", tensor<6x48xf32>> as "f32" : tensor<4x3x4x4xf32> -> tensor<4x6xf32>
  %class = slmq.tensor #slm.weight<"class", tensor<1x6xf32>> : tensor<1x6xf32>
  %c = slmq.concat %class, %e : tensor<1x6xf32>, tensor<4x6xf32> -> tensor<5x6xf32>
  %shift = slmq.tensor #slm.weight<"shift", tensor<6xf32>> : tensor<6xf32>
  %places = slmq.tensor #slm.weight<"places", tensor<5x6xf32>> : tensor<5x6xf32>
  %m = slmq.add %c, %places : tensor<5x6xf32>, tensor<5x6xf32> -> tensor<5x6xf32>
  %s = slmq.mul %m, %shift : tensor<5x6xf32>, tensor<6xf32> -> tensor<5x6xf32>
  %l = slm.layers "eyes" [0, 0](%s) {
  ^bb0(%x: tensor<5x6xf32>):
    %k = slmq.matmul %x, #slm.weight<"eyes.{i}.k", tensor<6x6xf32>> as "f32" : tensor<5x6xf32> -> tensor<5x2x3xf32>
    %a = slmq.full_attention %k, %k, %k : tensor<5x2x3xf32>, tensor<5x2x3xf32>, tensor<5x2x3xf32> -> tensor<5x2x3xf32>
    %o = slmq.matmul %a, #slm.weight<"eyes.{i}.o", tensor<6x6xf32>> as "f32" : tensor<5x2x3xf32> -> tensor<5x6xf32>
    %y = slmq.add %x, %o : tensor<5x6xf32>, tensor<5x6xf32> -> tensor<5x6xf32>
    slm.yield %y : tensor<5x6xf32>
  } : tensor<5x6xf32> -> tensor<5x6xf32>
  %latents = slmq.tensor #slm.weight<"latents", tensor<2x6xf32>> : tensor<2x6xf32>
  %q = slmq.matmul %latents, #slm.weight<"q", tensor<6x6xf32>> as "f32" : tensor<2x6xf32> -> tensor<2x2x3xf32>
  %kk = slmq.matmul %l, #slm.weight<"k", tensor<6x6xf32>> as "f32" : tensor<5x6xf32> -> tensor<5x2x3xf32>
  %aa = slmq.full_attention %q, %kk, %kk : tensor<2x2x3xf32>, tensor<5x2x3xf32>, tensor<5x2x3xf32> -> tensor<2x2x3xf32>
  %r = slmq.matmul %aa, #slm.weight<"o", tensor<6x6xf32>> as "f32" : tensor<2x2x3xf32> -> tensor<2x6xf32>
  func.return %r : tensor<2x6xf32>
}
