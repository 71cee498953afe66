/* replay.c: runs a fuzz target over the files of folders, once each, without libFuzzer: what a corpus covers. */
#include <dirent.h>

#include "fuzz.h"

int main(int n_args, char **args)
{
    static uint8_t input[1 << 16];
    char name[1024];
    for (int i = 1; i < n_args; i++) {
        DIR *list = opendir(args[i]);
        HOLDS(list != NULL);
        for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
            if (entry->d_name[0] == '.')
                continue;
            snprintf(name, sizeof name, "%s/%s", args[i], entry->d_name);
            FILE *file = fopen(name, "rb");
            HOLDS(file != NULL);
            size_t n = fread(input, 1, sizeof input, file);
            fclose(file);
            uint8_t *copy = (uint8_t *)exact_copy(input, n);
            (void)LLVMFuzzerTestOneInput(copy, n);
            free(copy);
        }
        closedir(list);
    }
    return 0;
}
