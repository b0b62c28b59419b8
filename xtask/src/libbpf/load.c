// How long libbpf takes from an object's file to programs in the kernel, in ns.
#include <bpf/libbpf.h>
#include <stdio.h>
#include <time.h>

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    long long start = now();
    struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
    if (libbpf_get_error(object) || bpf_object__load(object))
        return 1;
    printf("%lld\n", now() - start);
    bpf_object__close(object);
    return 0;
}
