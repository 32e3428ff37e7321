-- Run once, when the Postgres container begins with an empty volume.
create database kiban;
create database prefect;
create database mlflow;
