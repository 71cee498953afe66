/* Runs another program and says what it took: wall time, CPU time and peak memory, from its start to its end.
 *
 * The peak in a child's rusage begins with the size of the process it was forked from, so that process must be small:
 * this one is.
 *
 * Usage: launch PROGRAM ARGUMENT... Its output goes where ours goes; one line of JSON follows. Ends with its status.
 */
#include "bench_net.h"

#include <sys/wait.h>

int main(int argc, char **argv)
{
    if (argc < 2)
        die("launch PROGRAM ARGUMENT...");
    double wall_start = wall_now_s();
    pid_t pid = fork();
    if (pid < 0)
        die_errno("fork");
    if (pid == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    int status;
    struct rusage u;
    if (wait4(pid, &status, 0, &u) != pid)
        die_errno("wait4");
    double wall_s = wall_now_s() - wall_start;
    double cpu_s = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                   (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
    printf("{\"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_rss_kib\": %ld}\n", wall_s, cpu_s, u.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
