/* The auditor for programs of other kinds than 64-bit x86 (32-bit children of a CUDA program): it declines, so that
 * ld.so goes on without a word. Runs in such a child before anything else; needs no library at all.
 * See rtld-audit(7): la_version answering 0 means "not interested". */
__attribute__((visibility("default"))) unsigned la_version(unsigned version);

unsigned la_version(unsigned version) {
  (void)version;
  return 0;
}
