// Loads the library given as the last argument and starts it: what `dfs __nvml` does first.
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments) {
    void *library = dlopen(arguments[count - 1], RTLD_NOW);
    if (!library) return 1;
    int (*start)(void) = (int (*)(void))dlsym(library, "nvmlInit_v2");
    if (!start || start()) return 2;
    puts("{\"format\":\"dfs.nvml/1\",\"stable\":{},\"volatile\":{}}");
    return 0;
}
