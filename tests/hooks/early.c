/* A library whose constructor calls hooks before the guard's own constructor could run. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int early_opened;

__attribute__((constructor)) static void early(void)
{
    char byte;
    int fd = open("/proc/self/maps", O_RDONLY);
    early_opened = fd >= 0 && read(fd, &byte, 1) == 1;
    close(fd);
    FILE *stream = fopen("/dev/null", "r");
    early_opened &= stream != NULL;
    if (stream)
        fclose(stream);
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    early_opened &= page != MAP_FAILED;
}
