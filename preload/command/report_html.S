/* The page as it stands in report.html. Rebuild when that file changes: the assembler tells no dependencies. */
    .section .rodata
    .global report_page
    .hidden report_page
    .type report_page, %object
report_page:
    .incbin "preload/command/report.html"
    .byte 0
    .size report_page, . - report_page
    .section .note.GNU-stack, "", %progbits
