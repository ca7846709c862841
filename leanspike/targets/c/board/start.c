/* Start of a bare board: a stack, the data in RAM, then main; and host(), the semihosting call. No interrupt is on. */
#include <stdint.h>

extern uint32_t stack_top[], data_source[], data_begin[], data_end[], bss_begin[], bss_end[];
int main(void);
void start(void);
void start_in_c(void);

void start_in_c(void)
{
    const uint32_t *from = data_source;
#ifdef __arm__
    /* Coprocessors 10 and 11: floating point and, on the M55, vectors. */
    *(volatile uint32_t *)0xE000ED88u |= (uint32_t)0xF << 20;
    __asm__ volatile("dsb\n isb");
#endif
    for (volatile uint32_t *to = data_begin; to != data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = bss_begin; to != bss_end; to++) {
        *to = 0;
    }
    main();
}

#ifdef __arm__
static void fault(void)
{
    /* SYS_EXIT with a reason that is not ADP_Stopped_ApplicationExit: QEMU ends with an error. */
    __asm__ volatile("mov r0, #0x18\n movw r1, #0x0023\n movt r1, #0x0002\n bkpt 0xAB");
    for (;;) {
    }
}

void start(void)
{
    start_in_c();
}

__attribute__((section(".start"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)start, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};
__asm__(".text\n .thumb\n .globl host\n .thumb_func\n"
        "host:\n"
        "    bkpt 0xAB\n"
        "    bx lr\n");
#else
/* The call to the host is these three words, uncompressed and on one page. */
#define CALL_HOST "    .option norvc\n slli x0, x0, 0x1f\n ebreak\n srai x0, x0, 7\n"

__asm__(".section .start, \"ax\"\n .globl start\n"
        "    .option norelax\n .option arch, +zicsr\n"
        "start:\n"
        "    la sp, stack_top\n"
        "    la t0, fault\n"
        "    csrw mtvec, t0\n"
        "    j start_in_c\n"
        "    .balign 32\n"
        "fault:\n"
        "    li a0, 0x18\n"
        "    li a1, 0x20023\n" CALL_HOST
        "    j fault\n"
        "    .balign 16\n .globl host\n"
        "host:\n" CALL_HOST
        "    ret\n");
#endif
