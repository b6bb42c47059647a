{
  'variables': {
    # What is shared with other backends is compiled from the sources that @helexa/graph ships.
    'graph%': '<!(node -p "require(\'path\').relative(\'.\', require(\'path\').dirname(require.resolve(\'@helexa/graph/package.json\')))")',
  },
  'targets': [
    {
      'target_name': 'cortex_cuda',
      'include_dirs': ['<!@(node -p "require(\'node-addon-api\').include")', '<(graph)/native'],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS', 'NODE_ADDON_API_REQUIRE_BASIC_FINALIZERS'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions', '-fno-rtti'],
      'cflags_cc': [
        '-std=c++20', '-O2', '-fPIC', '-fexceptions', '-fvisibility=hidden', '-Wall', '-Wextra',
        '-Wno-missing-field-initializers',
      ],
      'sources': [
        '<(graph)/native/cortex/bridge/device.cc',
        '<(graph)/native/cortex/bridge/model.cc',
        '<(graph)/native/cortex/bridge/read_spec.cc',
        '<(graph)/native/cortex/runtime/device_thread.cc',
        '<(graph)/native/cortex/runtime/thread_name.cc',
        'native/addon/addon.cc',
        'native/addon/cuda_library.cc',
      ],
      'xcode_settings': {
        'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
        'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
        'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
        'MACOSX_DEPLOYMENT_TARGET': '13.0',
      },
      'conditions': [
        ['OS=="linux"', {
          'libraries': ['-lpthread', '-ldl'],
          'ldflags': ['-Wl,--exclude-libs,ALL', '-Wl,-z,relro,-z,now', '-static-libstdc++', '-static-libgcc'],
        }],
      ],
    },
  ],
}
