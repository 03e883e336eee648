/* Runs a library on batches: driver WEIGHTS INPUT OUTPUT BATCHES. Both files hold all inputs, or all
   outputs, of one batch after the other. NET(name) is a function of the library. */

#include LIBRARY_HEADER

#include <stdio.h>
#include <stdlib.h>

static FILE *opened(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file)
        exit(10);
    return file;
}

int main(int argc, char **argv)
{
    float *inputs[INPUTS], *outputs[OUTPUTS];
    const float *given[INPUTS];
    NET(instance) *net;
    if (argc != 5)
        return 11;
    for (int index = 0; index < INPUTS; index++)
        given[index] = inputs[index] = malloc(NET(input)(index)->bytes);
    for (int index = 0; index < OUTPUTS; index++)
        outputs[index] = malloc(NET(output)(index)->bytes);
    NET(status) status = NET(create)(&net, argv[1]);
    FILE *from = opened(argv[2], "rb"), *to = opened(argv[3], "wb");
    for (int batch = 0; batch < atoi(argv[4]) && !status; batch++) {
        for (int index = 0; index < INPUTS; index++)
            if (fread(inputs[index], NET(input)(index)->bytes, 1, from) != 1)
                return 12;
        status = NET(run)(net, given, outputs, NULL);
        for (int index = 0; index < OUTPUTS; index++)
            fwrite(outputs[index], NET(output)(index)->bytes, 1, to);
    }
    if (status)
        fprintf(stderr, "%s\n", NET(status_text)(status));
    else
        NET(destroy)(net);
    fclose(to);
    return (int)status;
}
