/* fuzz_core.c: libFuzzer around the compiled floors 1 to 3: an interpreter is started in it, and each input goes through the
 * compiled core_target.pyx. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#include "core_target_api.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len);

static void must(int good)
{
    if (good)
        return;
    PyErr_Print();
    abort();
}

/* PYTHON is that of the environment the modules were built for; where they are stands in PYTHONPATH. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    PyConfig config;
    (void)argc;
    (void)argv;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.install_signal_handlers = 0;
    if (PyStatus_Exception(PyConfig_SetBytesString(&config, &config.program_name, PYTHON)) ||
        PyStatus_Exception(Py_InitializeFromConfig(&config)))
        abort();
    PyConfig_Clear(&config);
    must(import_core_target() == 0);
    must(core_target_begin() == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    must(core_target_run(input, input_len) == 0);
    return 0;
}
