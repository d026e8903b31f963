# The few forms that targets of this project take.
find_package(GTest REQUIRED)
include(GoogleTest)

# vgpu_library(NAME SOURCES a.cc ... DEPENDS other ...): a static library vgpu_NAME with its folder's sources.
function(vgpu_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  if(ARG_SOURCES)
    add_library(vgpu_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(vgpu_${name} PUBLIC ${ARG_DEPENDS})
  else()
    add_library(vgpu_${name} INTERFACE)
    target_link_libraries(vgpu_${name} INTERFACE ${ARG_DEPENDS})
  endif()
endfunction()

# vgpu_program(NAME SOURCES ... DEPENDS ...): an executable, installed in bin.
function(vgpu_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# vgpu_needs_only_glibc(TARGET): a shared library for other people's programs, whatever C++ library they have. What of
# libstdc++ it does not use is dropped: that keeps the glibc that it asks for old (tools/check_exports).
function(vgpu_needs_only_glibc target)
  if(NOT VGPU_SANITIZE)
    target_link_options(${target} PRIVATE
      -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-z,defs -Wl,--exclude-libs,ALL)
  endif()
endfunction()

# vgpu_guest_library(FILE SONAME S VERSION_SCRIPT F LINKS l... SOURCES ... DEPENDS ...): a shared library
# that guest programs load, as lib/vgpu/FILE.so, with LINKS beside it. Needs nothing but glibc at run time.
function(vgpu_guest_library file)
  cmake_parse_arguments(ARG "" "SONAME;VERSION_SCRIPT" "LINKS;SOURCES;DEPENDS" ${ARGN})
  string(REPLACE "lib" "" target ${file})
  add_library(${target} SHARED ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_DEPENDS})
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${VGPU_GUEST_LIBRARY_DIR} NO_SONAME ON)
  if(ARG_SONAME)
    target_link_options(${target} PRIVATE -Wl,-soname,${ARG_SONAME})
  endif()
  if(ARG_VERSION_SCRIPT)
    target_link_options(${target} PRIVATE -Wl,--version-script=${ARG_VERSION_SCRIPT})
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${ARG_VERSION_SCRIPT})
  endif()
  vgpu_needs_only_glibc(${target})
  install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/vgpu)
  foreach(link ${ARG_LINKS})
    add_custom_command(TARGET ${target} POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E create_symlink ${file}.so ${VGPU_GUEST_LIBRARY_DIR}/${link})
    install(FILES ${VGPU_GUEST_LIBRARY_DIR}/${link} DESTINATION ${CMAKE_INSTALL_LIBDIR}/vgpu)
  endforeach()
endfunction()

# vgpu_test(NAME SOURCES a_test.cc ... DEPENDS ... LABELS ...): a GoogleTest binary, one ctest case a file.
function(vgpu_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "unit;${ARG_LABELS}")
endfunction()

# vgpu_fuzz(NAME SOURCE f.cc CORPUS dir DEPENDS ...): a libFuzzer target; as a test it runs its corpus and a short while more.
function(vgpu_fuzz name)
  cmake_parse_arguments(ARG "" "SOURCE;CORPUS;SECONDS" "DEPENDS" ${ARGN})
  if(NOT VGPU_FUZZ)
    return()
  endif()
  add_executable(${name}_fuzz ${ARG_SOURCE})
  target_link_libraries(${name}_fuzz PRIVATE ${ARG_DEPENDS})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name}_fuzz PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set(work ${CMAKE_BINARY_DIR}/fuzz/${name}.corpus)
  file(MAKE_DIRECTORY ${work})
  add_test(NAME fuzz_${name} COMMAND ${name}_fuzz -runs=20000 -max_total_time=20 -timeout=10 ${work} ${ARG_CORPUS})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 180 LABELS "fuzz")
endfunction()
