# xbench on the CPU. Without arguments it runs the demo, which needs no data:
#
#   docker build --tag xbench . && docker run --rm xbench
#   docker run --rm -v /data/benchmarks:/data:ro -v "$PWD/results":/work/results xbench \
#       run --model clip --clip ViT-B/32 --dataset msrvtt
#
# Weights and features are cached in /cache: -v xbench-cache:/cache keeps them.
FROM python:3.11-slim
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --no-cache-dir --constraint constraints.txt . \
    && rm -rf /source/*
RUN useradd --create-home xbench && mkdir -p /work /cache && chown xbench /work /cache
USER xbench
WORKDIR /work
ENV XBENCH_DATA=/data XBENCH_CACHE=/cache
ENTRYPOINT ["xbench"]
CMD ["run", "--model", "xclip", "--dataset", "didemo", "--miniature"]
