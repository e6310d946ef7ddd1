/* A library that another one needs; it lies beside it. */
int part(void);
int part(void)
{
    return 42;
}
