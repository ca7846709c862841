/* A plugin of QEMU: executed instructions from the block at address begin to the block at address end, every time.
 *
 * Debian ships no header for plugins; these are the functions of its documented interface that are needed here. Blocks
 * are counted whole: no interrupt is on and no instruction faults, so every block that is entered runs to its end.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct qemu_plugin_tb;
typedef uint64_t Id;

extern void qemu_plugin_register_vcpu_tb_trans_cb(Id, void (*)(Id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_atexit_cb(Id, void (*)(Id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = PLUGIN_VERSION;
EXPORT int qemu_plugin_install(Id, const void *, int, char **);

static unsigned long long begin, end;
static uint64_t executed, at_begin;
static FILE *file;

static void run(unsigned processor, void *instructions)
{
    (void)processor;
    executed += (uintptr_t)instructions;
}

static void run_begin(unsigned processor, void *instructions)
{
    at_begin = executed;
    run(processor, instructions);
}

static void run_end(unsigned processor, void *instructions)
{
    const uint64_t count = executed - at_begin;
    fwrite(&count, sizeof count, 1, file);
    run(processor, instructions);
}

static void translated(Id id, struct qemu_plugin_tb *block)
{
    const uint64_t address = qemu_plugin_tb_vaddr(block);
    void (*const callback)(unsigned, void *) = address == begin ? run_begin : address == end ? run_end : run;
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, callback, 0, (void *)qemu_plugin_tb_n_insns(block));
}

static void finish(Id id, void *unused)
{
    (void)id;
    (void)unused;
    fclose(file);
}

EXPORT int qemu_plugin_install(Id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        sscanf(argv[i], "begin=%llu", &begin);
        sscanf(argv[i], "end=%llu", &end);
    }
    file = fopen("counts", "wb");
    if (file == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
