/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tiny guest's entry, the notes by which libxenguest knows how to build a domain of it, and the page that Xen fills
 * with its calls. Xen enters with the start_info page's address in %rsi, on a small stack of its own; the guest has a
 * larger one.
 */
#define __ASSEMBLY__
#include <xen/elfnote.h>

	.section .note.Xen, "a", @note

	.macro note type, value:vararg
	.balign 4
	.long 4, 2f - 1f, \type
	.asciz "Xen"
1:	\value
2:	.balign 4
	.endm

	note XEN_ELFNOTE_GUEST_OS,	.asciz "tiny"
	note XEN_ELFNOTE_XEN_VERSION,	.asciz "xen-3.0"
	note XEN_ELFNOTE_LOADER,	.asciz "generic"
	note XEN_ELFNOTE_PAE_MODE,	.asciz "yes"
	note XEN_ELFNOTE_VIRT_BASE,	.quad 0
	note XEN_ELFNOTE_PADDR_OFFSET,	.quad 0
	note XEN_ELFNOTE_ENTRY,		.quad _start
	note XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page

	.text
	.globl _start
_start:
	cld
	leaq	stack_top(%rip), %rsp
	xorl	%ebp, %ebp
	movq	%rsi, %rdi
	call	guest_main
	ud2

	.balign	4096
	.globl hypercall_page
hypercall_page:
	.skip	4096

	.bss
	.balign	16
	.skip	16384
stack_top:
	.section .note.GNU-stack, "", @progbits
