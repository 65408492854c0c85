// RUN: not slmc opt %s -p 'choose-tiling{sram_bytes=2097152 context=64}'
// CHECK: error: the smallest plan needs {{[0-9]+}} bytes of SMEM for the lists of top_k, there are 32768
func.func @forward(%tokens: tensor<?xi32>) -> tensor<1xi32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x128x64xf32>> as "f32" : tensor<?xi32> -> tensor<?x128x64xf32>
  %p, %c = slmq.top_k %x count 64 : tensor<?x128x64xf32>, tensor<?x128x64xi32>
  %s = slmq.reduce_sum %p : tensor<?x128x64xf32> -> tensor<?x128x1xf32>
  %0 = slmq.strips 64 {
    %y = slmq.matmul %s, #slm.weight<"head", tensor<64x128xf32>> as "f32" : tensor<?x128x1xf32> -> tensor<?x64xf32>
    %t = slmq.sample %y : tensor<?x64xf32> -> tensor<1xi32>
    slmq.yield %t : tensor<1xi32>
  } : tensor<1xi32>
  func.return %0 : tensor<1xi32>
}
