{
  # -Dsanitize=address|undefined|thread builds an instrumented addon (see README.md).
  'variables': { 'sanitize%': '' },
  'target_defaults': {
    'include_dirs': ['<!@(node -p "require(\'node-addon-api\').include")'],
    'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS', 'NODE_ADDON_API_REQUIRE_BASIC_FINALIZERS'],
    'cflags': ['-fPIC'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions', '-fno-rtti', '-O2'],
    # A product and a sum are fused only where a kernel says so: else two tile shapes of one kernel would differ in a bit.
    'cflags_cc': [
      '-std=c++20', '-O3', '-fexceptions', '-fvisibility=hidden', '-ffp-contract=off', '-ffunction-sections',
      '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-Wno-uninitialized', '-Wno-maybe-uninitialized',
    ],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '13.0',
      'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off'],
    },
    'conditions': [
      ['sanitize!=""', {
        'cflags_cc!': ['-O3'],
        'cflags_cc': ['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=<(sanitize)'],
        'ldflags': ['-fsanitize=<(sanitize)'],
      }],
    ],
  },
  'targets': [
    {
      'target_name': 'cortex_cpu',
      'sources': [
        'native/addon.cc',
        'native/bridge/device.cc',
        'native/bridge/model.cc',
        'native/bridge/read_spec.cc',
        'native/matmul/common_pack.cc',
        'native/matmul/common_registry.cc',
        'native/matmul/portable_kernels.cc',
        'native/ops/add.cc',
        'native/ops/add_bias.cc',
        'native/ops/add_rms_norm.cc',
        'native/ops/all_reduce.cc',
        'native/ops/attend.cc',
        'native/ops/embed.cc',
        'native/ops/gather.cc',
        'native/ops/gather_rows.cc',
        'native/ops/gelu.cc',
        'native/ops/head_norm.cc',
        'native/ops/kv_append.cc',
        'native/ops/layer_norm.cc',
        'native/ops/linear.cc',
        'native/ops/linear_add.cc',
        'native/ops/linear_swiglu.cc',
        'native/ops/mul.cc',
        'native/ops/ops.cc',
        'native/ops/qk_norm_rope_append.cc',
        'native/ops/rms_norm.cc',
        'native/ops/rope.cc',
        'native/ops/rope_table.cc',
        'native/ops/sample.cc',
        'native/ops/scale.cc',
        'native/ops/sigmoid.cc',
        'native/ops/sigmoid_mul.cc',
        'native/ops/silu.cc',
        'native/ops/swiglu.cc',
        'native/program/decode.cc',
        'native/program/hazards.cc',
        'native/program/interpreter.cc',
        'native/program/model.cc',
        'native/program/step.cc',
        'native/runtime/device_thread.cc',
        'native/runtime/memory.cc',
        'native/runtime/team.cc',
        'native/runtime/topology.cc',
        'native/simd/dispatch.cc',
        'native/simd/kernels_portable.cc',
      ],
      'conditions': [
        ['target_arch=="x64"', { 'dependencies': ['cortex_cpu_avx2', 'cortex_cpu_avx512'] }],
        ['OS=="linux"', {
          'libraries': ['-lpthread'],
          'ldflags': ['-Wl,--exclude-libs,ALL', '-Wl,-z,relro,-z,now', '-Wl,--gc-sections'],
        }],
        # The sanitizer runtimes replace parts of the C++ library: it must stay shared under them.
        ['OS=="linux" and sanitize==""', { 'ldflags': ['-static-libstdc++', '-static-libgcc'] }],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'cortex_cpu_avx2',
          'type': 'static_library',
          'cflags_cc': ['-mavx2', '-mfma', '-mf16c'],
          'xcode_settings': { 'OTHER_CPLUSPLUSFLAGS': ['-mavx2', '-mfma', '-mf16c'] },
          'sources': [
            'native/matmul/avx2_dense.cc',
            'native/matmul/avx2_isa.cc',
            'native/matmul/avx2_quantised.cc',
            'native/simd/kernels_avx2.cc',
          ],
        },
        {
          'target_name': 'cortex_cpu_avx512',
          'type': 'static_library',
          'cflags_cc': [
            '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni', '-mavx2', '-mfma', '-mf16c',
            '-mprefer-vector-width=512',
          ],
          'xcode_settings': {
            'OTHER_CPLUSPLUSFLAGS': [
              '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni', '-mavx2', '-mfma', '-mf16c',
            ],
          },
          'sources': [
            'native/matmul/avx512_dense.cc',
            'native/matmul/avx512_isa.cc',
            'native/matmul/avx512_quantised.cc',
            'native/simd/kernels_avx512.cc',
          ],
        },
      ],
    }],
  ],
}
